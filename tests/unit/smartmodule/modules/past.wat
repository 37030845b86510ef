;; Counts the records that it looks back at, in memory, and keeps as many of
;; those that come then.
(func (export "look_back") (param $p i32) (param $n i32) (param $v i32)
  (result i32)
  (i32.store (i32.const 1024)
    (i32.add (i32.load (i32.const 1024))
             (call $get32 (i32.add (local.get $p) (i32.const 12)))))
  (i32.const 0))
(func (export "filter") (param $p i32) (param $n i32) (param $v i32)
  (result i32)
  (local $left i32) (local $start i32)
  (local.set $left (call $begin (local.get $p)
                                (i32.add (local.get $n) (i32.const 4096))))
  (block $done
    (loop $more
      (br_if $done (i32.eqz (local.get $left)))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (local.set $start (global.get $next))
      (call $read)
      (if (i32.load (i32.const 1024))
        (then
          (i32.store (i32.const 1024)
            (i32.sub (i32.load (i32.const 1024)) (i32.const 1)))
          (call $pass (local.get $start))))
      (br $more)))
  (call $finish))

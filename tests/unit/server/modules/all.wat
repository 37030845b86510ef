;; filter with look_back that keeps everything and remembers nothing.
(func (export "look_back") (param $p i32) (param $n i32) (param $v i32)
  (result i32)
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
      (call $pass (local.get $start))
      (br $more)))
  (call $finish))

;; Keeps values whose first byte was not seen before, in what look_back showed
;; or in earlier batches; 't' traps and 'e' is an error after marking. Its
;; memory at 1024 is the state. dealloc counts itself at 1280; a look_back that
;; begins with 'x' is refused.
(func $seen (param $c i32) (result i32)
  (local $at i32) (local $was i32)
  (local.set $at (i32.add (i32.const 1024) (local.get $c)))
  (local.set $was (i32.load8_u (local.get $at)))
  (i32.store8 (local.get $at) (i32.const 1))
  (local.get $was))
(func (export "filter") (param $p i32) (param $n i32) (param $v i32)
  (result i32)
  (local $left i32) (local $start i32) (local $c i32)
  (local.set $left (call $begin (local.get $p)
                                (i32.add (local.get $n) (i32.const 4096))))
  (block $done
    (loop $more
      (br_if $done (i32.eqz (local.get $left)))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (local.set $start (global.get $next))
      (call $read)
      (local.set $c (i32.load8_u (global.get $value)))
      (if (i32.eqz (call $seen (local.get $c)))
        (then (call $pass (local.get $start))))
      (if (i32.eq (local.get $c) (i32.const 0x74)) (then unreachable))
      (if (i32.eq (local.get $c) (i32.const 0x65))
        (then (return (call $fail (global.get $value) (global.get $len)))))
      (br $more)))
  (call $finish))
(func (export "look_back") (param $p i32) (param $n i32) (param $v i32)
  (result i32)
  (local $left i32) (local $c i32)
  (local.set $left (call $begin (local.get $p) (i32.const 4096)))
  (block $done
    (loop $more
      (br_if $done (i32.eqz (local.get $left)))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (call $read)
      (local.set $c (i32.load8_u (global.get $value)))
      (if (i32.eq (local.get $c) (i32.const 0x78))
        (then
          ;; LookbackOutput: a hint of 4 bytes is all that is read
          (i32.store8 (global.get $out) (i32.const 0))
          (i32.store8 (i32.add (global.get $out) (i32.const 1)) (i32.const 4))
          (memory.copy (i32.add (global.get $out) (i32.const 2))
                       (global.get $value) (i32.const 4))
          (call $copy_records (global.get $out) (i32.const 6))
          (return (i32.const -99))))
      (drop (call $seen (local.get $c)))
      (br $more)))
  (i32.const 0))

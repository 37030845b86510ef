;; array_map: one record for each byte of a value. An 'e' is an error.
(func (export "array_map") (param $p i32) (param $n i32) (param $v i32)
  (result i32)
  (local $left i32) (local $i i32)
  (local.set $left (call $begin (local.get $p)
                     (i32.add (i32.mul (local.get $n) (i32.const 16))
                              (i32.const 4096))))
  (block $done
    (loop $more
      (br_if $done (i32.eqz (local.get $left)))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (call $read)
      (local.set $i (i32.const 0))
      (block $end
        (loop $each
          (br_if $end (i32.ge_u (local.get $i) (global.get $len)))
          (if (i32.eq (i32.load8_u (i32.add (global.get $value)
                                            (local.get $i)))
                      (i32.const 0x65))
            (then (return (call $fail (global.get $value)
                                      (global.get $len)))))
          (global.set $ts (i32.const 0))
          (call $emit (i32.const 0)
                      (i32.add (global.get $value) (local.get $i))
                      (i32.const 1))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br $each)))
      (br $more)))
  (call $finish))

;; Makes small letters large, in keyless records; 'T' traps, 'e' is an error.
(func (export "map") (param $p i32) (param $n i32) (param $v i32) (result i32)
  (local $left i32) (local $i i32) (local $c i32)
  (local.set $left (call $begin (local.get $p)
    (i32.add (i32.mul (local.get $n) (i32.const 2)) (i32.const 4096))))
  (block $done
    (loop $more
      (br_if $done (i32.eqz (local.get $left)))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (call $read)
      (local.set $c (i32.load8_u (global.get $value)))
      (if (i32.eq (local.get $c) (i32.const 0x54)) (then unreachable))
      (if (i32.eq (local.get $c) (i32.const 0x65))
        (then (return (call $fail (global.get $value) (global.get $len)))))
      (local.set $i (i32.const 0))
      (block $end_of_value
        (loop $letters
          (br_if $end_of_value (i32.ge_u (local.get $i) (global.get $len)))
          (local.set $c (i32.load8_u
            (i32.add (global.get $value) (local.get $i))))
          (if (i32.and (i32.ge_u (local.get $c) (i32.const 0x61))
                       (i32.le_u (local.get $c) (i32.const 0x7a)))
            (then (i32.store8 (i32.add (global.get $value) (local.get $i))
                              (i32.sub (local.get $c) (i32.const 32)))))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br $letters)))
      (call $emit (global.get $delta) (global.get $value) (global.get $len))
      (br $more)))
  (call $finish))

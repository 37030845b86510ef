;; Decides by the last byte of a value: 0 2 4 6 8 keep; 7 loops for ever; 9 is
;; refused with the value as words; the others are filtered.
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
      (local.set $c (i32.load8_u (i32.sub
        (i32.add (global.get $value) (global.get $len)) (i32.const 1))))
      (if (i32.eqz (i32.and (local.get $c) (i32.const 1)))
        (then (call $pass (local.get $start))))
      (if (i32.eq (local.get $c) (i32.const 0x37))
        (then (loop $for_ever (br $for_ever))))
      (if (i32.eq (local.get $c) (i32.const 0x39))
        (then (return (call $fail (global.get $value) (global.get $len)))))
      (br $more)))
  (call $finish))

;; One record per byte of the value, none for "-"; 'T' traps. "*" makes as
;; many as its 16 MiB can hold.
(func (export "array_map") (param $p i32) (param $n i32) (param $v i32)
  (result i32)
  (local $left i32) (local $i i32) (local $c i32)
  (local.set $left (call $begin (local.get $p)
    (i32.add (i32.mul (local.get $n) (i32.const 8)) (i32.const 4096))))
  (global.set $ts (i32.const 0))
  (block $done
    (loop $more
      (br_if $done (i32.eqz (local.get $left)))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (call $read)
      (global.set $ts (i32.const 0))
      (local.set $c (i32.load8_u (global.get $value)))
      (if (i32.eq (local.get $c) (i32.const 0x54)) (then unreachable))
      (br_if $more (i32.eq (local.get $c) (i32.const 0x2d)))
      (if (i32.eq (local.get $c) (i32.const 0x2a))
        (then
          (drop (call $room (i32.const 1000000)))
          (local.set $i (i32.const 0))
          (loop $flood
            (call $emit (i32.const 0) (global.get $value) (i32.const 1))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $flood (i32.lt_u (local.get $i) (i32.const 20000))))
          (return (call $finish))))
      (local.set $i (i32.const 0))
      (block $end_of_value
        (loop $bytes
          (br_if $end_of_value (i32.ge_u (local.get $i) (global.get $len)))
          (call $emit (i32.const 0)
            (i32.add (global.get $value) (local.get $i)) (i32.const 1))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br $bytes)))
      (br $more)))
  (call $finish))

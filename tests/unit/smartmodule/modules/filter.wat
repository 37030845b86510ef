;; Keeps values that begin with 'k'; what else a value can begin with makes it
;; the hostile module of the tests.
;; Data, as every compiled module has them.
(data (i32.const 1024) "some words")
(func $deep (param i32) (result i32)
  (i32.add (i32.const 1) (call $deep (i32.add (local.get 0) (i32.const 1)))))
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
      (if (i32.eq (local.get $c) (i32.const 0x6b))            ;; k: keep
        (then (call $pass (local.get $start))))
      (if (i32.eq (local.get $c) (i32.const 0x65))            ;; e: error
        (then (return (call $fail (global.get $value) (global.get $len)))))
      (if (i32.eq (local.get $c) (i32.const 0x74))            ;; t: trap
        (then unreachable))
      (if (i32.eq (local.get $c) (i32.const 0x6c))            ;; l: loop
        (then (loop $for_ever (br $for_ever))))
      (if (i32.eq (local.get $c) (i32.const 0x72))            ;; r: recurse
        (then (drop (call $deep (i32.const 0)))))
      (if (i32.eq (local.get $c) (i32.const 0x6d))            ;; m: memory
        (then (loop $grow
          (br_if $grow (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))
          unreachable)))
      (if (i32.eq (local.get $c) (i32.const 0x77))            ;; w: wild
        (then
          (call $copy_records (i32.const 0x7ffffff0) (i32.const 0x7fffffff))
          (return (i32.const 1))))
      (if (i32.eq (local.get $c) (i32.const 0x6e))            ;; n: no output
        (then (return (i32.const 1))))
      (if (i32.eq (local.get $c) (i32.const 0x63))            ;; c: code
        (then (return (i32.const -22))))
      (if (i32.eq (local.get $c) (i32.const 0x63))
        (then (return (i32.const -22))))
      (if (i32.eq (local.get $c) (i32.const 0x79))            ;; y: lying count
        (then
          (global.set $made (i32.const 0x7fffffff))
          (return (call $finish))))
      (br $more)))
  (call $finish))

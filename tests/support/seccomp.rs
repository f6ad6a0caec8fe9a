//! A filter of seccomp(2), for tests in which the kernel is to refuse something.

/// From now on, system call `number` is answered so on this thread, by a value of seccomp(2).
pub(crate) fn answer_calls(number: libc::c_long, answer: u32) {
    let code = |code: u32| code as u16;
    let load = code(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS);
    let jump = code(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K);
    let give = code(libc::BPF_RET | libc::BPF_K);
    // SAFETY: these four compute.
    let mut filter = unsafe {
        [
            libc::BPF_STMT(load, std::mem::offset_of!(libc::seccomp_data, nr) as u32),
            libc::BPF_JUMP(jump, number as u32, 0, 1),
            libc::BPF_STMT(give, answer),
            libc::BPF_STMT(give, libc::SECCOMP_RET_ALLOW),
        ]
    };
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: takes integers.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
    // SAFETY: reads the program, which is alive and has that many instructions.
    let installed = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
    assert_eq!(installed, 0, "no filter: {}", std::io::Error::last_os_error());
}

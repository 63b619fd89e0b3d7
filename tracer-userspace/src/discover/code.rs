//! Machine code, decoded: what a probe on an instruction costs, and which function two others share.
//! Takes bytes and their address; gives facts that are proven by every instruction on the way.
//! Knows the instruction set; nothing of files.
//!
//! The kernel executes the instruction under a probe out of line, one step at a time, unless it can
//! emulate it: some 13 µs against 1.3 µs in a virtual machine. OpenSSL's exported functions often
//! begin with `sub $n,%rsp`, which it cannot; the shared function begins with `push`, which it can.
//! It has the arguments and the result of the `_ex` form, so the probes of that form serve both.

use iced_x86::{
    Code, Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic,
    OpAccess, Register,
};

/// Bytes of code that are looked at: prologue, check of the length and call fit many times.
pub(super) const LOOK: usize = 192;

/// Registers of the first four arguments (System V ABI for x86-64, §3.2.3).
const ARGUMENTS: [Register; 4] = [Register::RDI, Register::RSI, Register::RDX, Register::RCX];

/// A function's code and the address of its first byte.
#[derive(Clone, Copy, Debug)]
pub(super) struct Code64<'a> {
    pub(super) address: u64,
    pub(super) bytes: &'a [u8],
}

impl<'a> Code64<'a> {
    fn instructions(self) -> impl Iterator<Item = Instruction> + use<'a> {
        let mut decoder = Decoder::with_ip(64, self.bytes, self.address, DecoderOptions::NONE);
        std::iter::from_fn(move || {
            (decoder.can_decode()).then(|| decoder.decode()).filter(|decoded| !decoded.is_invalid())
        })
    }
}

/// The function that `ex` hands its arguments to unchanged, if `plain` calls it as well.
pub(super) fn shared(plain: Code64<'_>, ex: Code64<'_>) -> Option<u64> {
    let target = first_call(ex)?;
    let also = plain.instructions().any(|decoded| direct_call(&decoded) == Some(target));
    also.then_some(target)
}

/// Whether the kernel emulates the first instruction (Linux `arch/x86/kernel/uprobes.c`:
/// `push_setup_xol_ops` for a push of a register, `branch_setup_xol_ops` for no-operations and for
/// branches and calls relative to themselves).
pub(super) fn emulated_entry(code: Code64<'_>) -> bool {
    code.instructions().next().is_some_and(|first| {
        matches!(first.code(), Code::Push_r64 | Code::Nopd | Code::Nopw | Code::Call_rel32_64)
            || first.is_jcc_short_or_near()
            || first.is_jmp_short_or_near()
    })
}

/// Whether the code calls or jumps to another function before it changes any of its first `count`
/// arguments, and does nothing else until then.
pub(super) fn leaves_with(code: Code64<'_>, count: usize) -> bool {
    let mut factory = InstructionInfoFactory::new();
    for decoded in code.instructions() {
        if direct_call(&decoded).is_some() || decoded.is_jmp_short_or_near() {
            return true;
        }
        if !goes_on(&decoded) || writes(&mut factory, &decoded, &ARGUMENTS[..count]) {
            return false;
        }
    }
    false
}

/// What runs next stands behind it.
fn goes_on(decoded: &Instruction) -> bool {
    decoded.flow_control() == FlowControl::Next || decoded.mnemonic() == Mnemonic::Endbr64
}

fn writes(
    factory: &mut InstructionInfoFactory,
    decoded: &Instruction,
    registers: &[Register],
) -> bool {
    factory.info(decoded).used_registers().iter().any(|used| {
        let reads = matches!(used.access(), OpAccess::Read | OpAccess::CondRead);
        !reads && registers.contains(&used.register().full_register())
    })
}

/// Target of the first call, if until there no argument register is written and nothing branches.
fn first_call(code: Code64<'_>) -> Option<u64> {
    let mut factory = InstructionInfoFactory::new();
    for decoded in code.instructions() {
        if let Some(target) = direct_call(&decoded) {
            return Some(target);
        }
        if !goes_on(&decoded) || writes(&mut factory, &decoded, &ARGUMENTS) {
            return None;
        }
    }
    None
}

fn direct_call(decoded: &Instruction) -> Option<u64> {
    (decoded.code() == Code::Call_rel32_64).then(|| decoded.near_branch_target())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `sub $8,%rsp; call +0x100` at 0x1000: the target is behind the nine bytes.
    const EX: &[u8] = &[0x48, 0x83, 0xec, 0x08, 0xe8, 0x00, 0x01, 0x00, 0x00];
    /// `test %edx,%edx; js +2; call` to the same target, at 0x1040.
    const PLAIN: &[u8] = &[0x85, 0xd2, 0x78, 0x02, 0xe8, 0xc0, 0x00, 0x00, 0x00];

    fn at(address: u64, bytes: &[u8]) -> Code64<'_> {
        Code64 { address, bytes }
    }

    #[test]
    fn function_that_both_call_is_shared() {
        assert_eq!(shared(at(0x1040, PLAIN), at(0x1000, EX)), Some(0x1109));
    }

    #[test]
    fn function_that_one_calls_is_not() {
        assert_eq!(shared(at(0x2040, PLAIN), at(0x1000, EX)), None);
        assert_eq!(shared(at(0x1040, &[0xc3]), at(0x1000, EX)), None);
    }

    #[test]
    fn changed_argument_is_refused() {
        // mov %rcx,%r8 leaves them alone; xor %ecx,%ecx does not (the flags of OpenSSL 3.3).
        let harmless = [&[0x49, 0x89, 0xc8], EX].concat();
        let changed = [&[0x31, 0xc9], EX].concat();
        assert_eq!(first_call(at(0x1000, &harmless)), Some(0x110c));
        assert_eq!(first_call(at(0x1000, &changed)), None);
    }

    #[test]
    fn branch_before_the_call_is_refused() {
        let branch = [&[0x78, 0x02], EX].concat();
        assert_eq!(first_call(at(0x1000, &branch)), None);
        assert_eq!(first_call(at(0x1000, &[0xc3])), None);
        assert_eq!(first_call(at(0x1000, &EX[..6])), None);
        assert_eq!(first_call(at(0x1000, &[])), None);
    }

    #[test]
    fn function_that_hands_its_arguments_on_is_told() {
        // Debian's gnutls_record_send: xor %r8d,%r8d; xor %ecx,%ecx; jmp. `first_call` sees %rcx.
        let send = [0x45, 0x31, 0xc0, 0x31, 0xc9, 0xe9, 0x00, 0x01, 0x00, 0x00];
        assert!(leaves_with(at(0x1000, &send), 3));
        assert!(!leaves_with(at(0x1000, &send), 4));
        // Its body begins there: push %r15; cmpb $0,(%rdi); je.
        assert!(!leaves_with(at(0x1000, &[0x41, 0x57, 0x80, 0x3f, 0x00, 0x74, 0x10]), 3));
        assert!(!leaves_with(at(0x1000, &[0xc3]), 3));
    }

    #[test]
    fn push_is_emulated_and_sub_is_not() {
        assert!(emulated_entry(at(0, &[0x41, 0x55]))); // push %r13
        assert!(emulated_entry(at(0, &[0x55])));
        assert!(!emulated_entry(at(0, EX)));
        assert!(!emulated_entry(at(0, &[0xf3, 0x0f, 0x1e, 0xfa, 0x55]))); // endbr64; push %rbp
        assert!(!emulated_entry(at(0, &[])));
    }
}

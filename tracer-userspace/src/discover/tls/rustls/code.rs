//! What rustls' functions say of themselves in machine code: bytes that encryption adds, the layout of a
//! message, the one return, which table a function refers to.
//! Takes code from a function's first instruction on; gives facts, or nothing where they are not shown.

use iced_x86::{
    Code, Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic,
    OpAccess, OpKind, Register,
};
use tracer_ebpf::Layout;

/// Bytes of a function that are looked at. The largest `encrypt` known has some 3 KiB.
pub(super) const FUNCTION_LIMIT: usize = 16 << 10;

/// Bytes of `encrypted_payload_len`; the longest known, with a check for overflow, has some 40.
pub(super) const LENGTH_LIMIT: usize = 64;

/// Bytes of a function that does no more than go on in another.
const THUNK_LIMIT: u64 = 64;

/// What encryption adds to a payload: a nonce of 8 or a type of 1, if any, and a tag of 16 (RFC 8446
/// §5.2, RFC 5288 §3, RFC 7905 §2).
const ADDED: [u64; 3] = [0x11, 0x18, 0x10];

/// Where the content type of a message to be encrypted is.
const KIND_IN_CHUNKS: u64 = 0x20;
const KIND_IN_SLICE: u64 = 0x10;
/// The end of what is meant within chunks of a message.
const END_IN_CHUNKS: u64 = 0x18;

/// Instructions from an address on, as far as they are some.
fn instructions(start: u64, bytes: &[u8]) -> impl Iterator<Item = Instruction> {
    let mut decoder = Decoder::with_ip(64, bytes, start, DecoderOptions::NONE);
    std::iter::from_fn(move || {
        decoder.can_decode().then(|| decoder.decode()).filter(|decoded| !decoded.is_invalid())
    })
}

/// What `encrypted_payload_len(&self, len)` adds: its second argument and a constant, before its first
/// return.
pub(super) fn added(start: u64, bytes: &[u8]) -> Option<u8> {
    for decoded in instructions(start, bytes) {
        let constant = match decoded.code() {
            Code::Lea_r64_m
                if decoded.memory_base() == Register::RSI
                    && decoded.memory_index() == Register::None
                    && decoded.op0_register() == Register::RAX =>
            {
                decoded.memory_displacement64()
            }
            Code::Add_rm64_imm8 | Code::Add_rm64_imm32
                if decoded.op0_register() == Register::RSI =>
            {
                decoded.immediate(1)
            }
            _ if matches!(
                decoded.flow_control(),
                FlowControl::Next | FlowControl::ConditionalBranch
            ) =>
            {
                continue;
            }
            _ => return None,
        };
        return ADDED.contains(&constant).then_some(constant as u8);
    }
    None
}

/// Where a function goes on that does no more than that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leads {
    To(u64),
    /// Where the pointer at an address points.
    Through(u64),
}

/// The first branch or call to a fixed place, if it comes soon and nothing branches before.
pub(super) fn leads(start: u64, bytes: &[u8]) -> Option<Leads> {
    let soon = |decoded: &Instruction| decoded.ip() < start.saturating_add(THUNK_LIMIT);
    for decoded in instructions(start, bytes).take_while(soon) {
        match decoded.flow_control() {
            FlowControl::Next => {}
            FlowControl::UnconditionalBranch | FlowControl::Call => {
                return Some(Leads::To(decoded.near_branch_target()));
            }
            FlowControl::IndirectBranch | FlowControl::IndirectCall
                if decoded.is_ip_rel_memory_operand() =>
            {
                return Some(Leads::Through(decoded.ip_rel_memory_address()));
            }
            _ => return None,
        }
    }
    None
}

/// Addresses that instructions of a function load.
pub(super) fn loaded(start: u64, bytes: &[u8]) -> Vec<u64> {
    let loads = |decoded: Instruction| match decoded.code() {
        Code::Lea_r64_m if decoded.is_ip_rel_memory_operand() => {
            Some(decoded.ip_rel_memory_address())
        }
        Code::Mov_r32_imm32 => Some(decoded.immediate32().into()),
        _ => None,
    };
    instructions(start, bytes).filter_map(loads).collect()
}

/// The address of the only return of a function, all of which is decoded.
pub(super) fn only_return(start: u64, bytes: &[u8]) -> Option<u64> {
    let mut returns = instructions(start, bytes).filter(|decoded| decoded.code() == Code::Retnq);
    let only = returns.next()?;
    returns.next().is_none().then(|| only.ip())
}

/// The layout of the message that `encrypt` gets as its third argument: from which of its bytes it
/// reads the content type.
pub(super) fn layout(start: u64, bytes: &[u8]) -> Option<Layout> {
    let mut holders = Holders::default();
    let (mut in_chunks, mut in_slice, mut end) = (false, false, false);
    for decoded in instructions(start, bytes) {
        match holders.read(&decoded) {
            Some((KIND_IN_CHUNKS, 1)) => in_chunks = true,
            Some((KIND_IN_SLICE, 1)) => in_slice = true,
            Some((END_IN_CHUNKS, 8)) => end = true,
            _ => {}
        }
        holders.follow(&decoded);
    }
    match (in_chunks || end, in_slice) {
        (true, false) => Some(Layout::Chunks),
        (false, true) => Some(Layout::Slice),
        _ => None,
    }
}

/// Registers and places of the stack that hold the message's address, in the order of the code. Code
/// out of that order may be misjudged: then it says both, or neither, and is refused.
struct Holders {
    registers: Vec<Register>,
    spilled: Vec<(Register, u64)>,
    info: InstructionInfoFactory,
}

impl Default for Holders {
    fn default() -> Self {
        let info = InstructionInfoFactory::new();
        Self { registers: vec![Register::RDX], spilled: Vec::new(), info }
    }
}

impl Holders {
    /// Offset in the message and size of what an instruction reads of it.
    fn read(&mut self, decoded: &Instruction) -> Option<(u64, usize)> {
        let memory = self.info.info(decoded).used_memory().first()?;
        let reads = matches!(memory.access(), OpAccess::Read | OpAccess::CondRead);
        let of_message = self.registers.contains(&memory.base());
        (reads && of_message && memory.index() == Register::None)
            .then(|| (memory.displacement(), memory.memory_size().size()))
    }

    fn follow(&mut self, decoded: &Instruction) {
        let is_move = decoded.mnemonic() == Mnemonic::Mov;
        let place = (decoded.memory_base(), decoded.memory_displacement64());
        let on_stack = matches!(place.0, Register::RSP | Register::RBP)
            && decoded.memory_index() == Register::None;
        let mut gains = None;
        if is_move && decoded.op0_kind() == OpKind::Register {
            let source = decoded.op1_kind();
            let held = (source == OpKind::Register
                && self.registers.contains(&decoded.op1_register()))
                || (source == OpKind::Memory && on_stack && self.spilled.contains(&place));
            gains = held.then(|| decoded.op0_register());
        }
        if is_move && decoded.op0_kind() == OpKind::Memory && on_stack {
            self.spilled.retain(|spilled| *spilled != place);
            if decoded.op1_kind() == OpKind::Register
                && self.registers.contains(&decoded.op1_register())
            {
                self.spilled.push(place);
            }
        }
        let info = self.info.info(decoded);
        for used in info.used_registers() {
            let reads = matches!(used.access(), OpAccess::Read | OpAccess::CondRead);
            if !reads {
                let register = used.register().full_register();
                self.registers.retain(|held| *held != register);
            }
        }
        if matches!(decoded.flow_control(), FlowControl::Call | FlowControl::IndirectCall) {
            self.registers.retain(|held| KEPT.contains(held));
        }
        self.registers.extend(gains);
    }
}

/// Registers that a called function leaves as they are (System V ABI for x86-64, §3.2.1).
const KEPT: [Register; 6] =
    [Register::RBX, Register::RBP, Register::R12, Register::R13, Register::R14, Register::R15];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn added_bytes_are_read() {
        // lea 0x11(%rsi),%rax; ret
        assert_eq!(added(0, &[0x48, 0x8d, 0x46, 0x11, 0xc3]), Some(0x11));
        // push %rbp; mov %rsp,%rbp; lea 0x18(%rsi),%rax; pop %rbp; ret
        let framed = [0x55, 0x48, 0x89, 0xe5, 0x48, 0x8d, 0x46, 0x18, 0x5d, 0xc3];
        assert_eq!(added(0, &framed), Some(0x18));
        // add $0x10,%rsi; jb; mov %rsi,%rax; ret
        let checked = [0x48, 0x83, 0xc6, 0x10, 0x72, 0x04, 0x48, 0x89, 0xf0, 0xc3];
        assert_eq!(added(0, &checked), Some(0x10));
    }

    #[test]
    fn other_additions_are_refused() {
        assert_eq!(added(0, &[0x48, 0x8d, 0x46, 0x12, 0xc3]), None);
        // Of the first argument; behind the return.
        assert_eq!(added(0, &[0x48, 0x8d, 0x47, 0x11, 0xc3]), None);
        assert_eq!(added(0, &[0xc3, 0x48, 0x8d, 0x46, 0x11, 0xc3]), None);
        assert_eq!(added(0, &[]), None);
    }

    #[test]
    fn layout_follows_the_message() {
        // mov %rdx,%r15; call; movzbl 0x20(%r15),%eax
        let chunks = [0x49, 0x89, 0xd7, 0xe8, 0, 0, 0, 0, 0x41, 0x0f, 0xb6, 0x47, 0x20];
        assert_eq!(layout(0, &chunks), Some(Layout::Chunks));
        // movzbl 0x10(%rdx),%eax
        assert_eq!(layout(0, &[0x0f, 0xb6, 0x42, 0x10]), Some(Layout::Slice));
        // call; movzbl 0x20(%rdx),%eax: that is another value.
        assert_eq!(layout(0, &[0xe8, 0, 0, 0, 0, 0x0f, 0xb6, 0x42, 0x20]), None);
        // Both.
        assert_eq!(layout(0, &[0x0f, 0xb6, 0x42, 0x10, 0x0f, 0xb6, 0x42, 0x20]), None);
    }

    #[test]
    fn one_return_is_found() {
        assert_eq!(only_return(0x10, &[0x90, 0xc3, 0xcc]), Some(0x11));
        assert_eq!(only_return(0x10, &[0xc3, 0xc3]), None);
        assert_eq!(only_return(0x10, &[0x90]), None);
    }
}

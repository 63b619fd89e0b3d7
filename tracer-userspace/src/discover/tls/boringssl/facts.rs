//! What a function of BoringSSL does that survives updates: the errors that it puts, the methods that
//! it calls through a table, the functions that it calls, whether it writes memory beyond its stack.
//! Takes code from a function's first instruction on; follows every way through it with the constants
//! that registers hold. Line numbers, structure offsets and registers are of no interest.

use std::collections::{BTreeMap, BTreeSet};

use iced_x86::{
    Code, Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic,
    OpAccess, OpKind, Register,
};

/// Bytes of a function that are looked at; the largest that matters has 2 KiB.
pub(super) const FUNCTION_LIMIT: usize = 16 << 10;

/// Instructions that are followed in one function, over all ways through it.
const STEPS: usize = 20_000;

/// Times that a place is entered with other constants; after that only with none known.
const ENTRIES: usize = 8;

/// Bytes of the longest instruction.
const LONGEST: usize = 15;

/// Different errors of one function that are kept.
const REASONS: usize = 64;

/// `ERR_LIB_SSL` (BoringSSL's `err.h`).
const LIBRARY: u64 = 16;

/// Displacements of calls through a table: that of BoringSSL's methods has some 25 entries.
const TABLE_LIMIT: u64 = 0x100;

/// Registers of the arguments of `ERR_put_error(library, unused, reason, file, line)`; the second is
/// dropped where the linker optimised it away.
const ARGUMENTS: [Register; 4] = [Register::RDI, Register::RSI, Register::RDX, Register::RCX];

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// Errors that it puts with the library's number and one of the library's files.
    pub(super) reasons: BTreeSet<u64>,
    /// Displacements of calls through a register and memory.
    pub(super) slots: BTreeSet<u64>,
    /// Where its instructions begin: one bit a byte from its start on.
    instructions: Vec<u64>,
    /// Instructions that were followed, over all ways.
    pub(super) steps: usize,
    /// It writes memory through a register that is not its stack's.
    pub(super) stores: bool,
}

impl Facts {
    /// Whether the function that begins at `start` has an instruction at an address.
    pub(super) fn has(&self, start: u64, address: u64) -> bool {
        let Some(bit) = address.checked_sub(start) else { return false };
        self.instructions.get((bit / 64) as usize).is_some_and(|word| word >> (bit % 64) & 1 != 0)
    }
}

/// Constants in general registers.
type Constants = [Option<u64>; 16];

struct Walk<'b> {
    start: u64,
    bytes: &'b [u8],
    is_file: &'b dyn Fn(u64) -> bool,
    info: InstructionInfoFactory,
    facts: Facts,
    /// Ways that are still to be followed.
    ways: Vec<(u64, Constants)>,
    entered: BTreeMap<u64, Vec<Constants>>,
    /// `rbp` holds the frame's address.
    has_frame: bool,
}

/// The facts of the function that `bytes`, up to the start of the next one, begin with. `None`: it is
/// no function, or longer than any of interest.
pub(super) fn of(start: u64, bytes: &[u8], is_file: &dyn Fn(u64) -> bool) -> Option<Facts> {
    let mut walk = Walk {
        start,
        bytes,
        is_file,
        info: InstructionInfoFactory::new(),
        facts: Facts { instructions: vec![0; bytes.len().div_ceil(64)], ..Facts::default() },
        ways: vec![(start, [None; 16])],
        entered: BTreeMap::new(),
        has_frame: false,
    };
    while let Some((at, constants)) = walk.ways.pop() {
        walk.follow(at, constants)?;
    }
    Some(walk.facts)
}

impl Walk<'_> {
    /// Follows one way to its end or to where it was before. `None`: an instruction that is none, or
    /// too many.
    fn follow(&mut self, at: u64, mut constants: Constants) -> Option<()> {
        if !self.enter(at, &mut constants) {
            return Some(());
        }
        let inside = usize::try_from(at.checked_sub(self.start)?).ok()?;
        let bytes = self.bytes.get(inside..)?;
        let mut decoder = Decoder::with_ip(64, bytes, at, DecoderOptions::NONE);
        while decoder.can_decode() {
            let bit = inside + decoder.position();
            let decoded = decoder.decode();
            if decoded.is_invalid() {
                // The last one may be cut off by the bound.
                return (bytes.len() - decoder.position() < LONGEST).then_some(());
            }
            self.facts.steps += 1;
            if self.facts.steps > STEPS {
                return None;
            }
            self.facts.instructions[bit / 64] |= 1 << (bit % 64);
            if !self.step(&decoded, &mut constants) {
                break;
            }
        }
        Some(())
    }

    /// Whether the place is to be followed with these constants.
    fn enter(&mut self, at: u64, constants: &mut Constants) -> bool {
        let entered = self.entered.entry(at).or_default();
        if entered.len() >= ENTRIES {
            *constants = [None; 16];
        }
        if entered.contains(constants) {
            return false;
        }
        entered.push(*constants);
        true
    }

    /// One instruction; false where the way ends.
    fn step(&mut self, decoded: &Instruction, constants: &mut Constants) -> bool {
        match decoded.flow_control() {
            FlowControl::Next => {
                self.next(decoded, constants);
                true
            }
            FlowControl::ConditionalBranch => {
                self.branch(decoded.near_branch_target(), *constants);
                true
            }
            FlowControl::UnconditionalBranch => {
                self.branch(decoded.near_branch_target(), *constants);
                false
            }
            FlowControl::Call => {
                self.called(constants);
                true
            }
            FlowControl::IndirectCall => {
                self.slot(decoded);
                self.called(constants);
                true
            }
            FlowControl::IndirectBranch => {
                self.slot(decoded);
                false
            }
            _ => false,
        }
    }

    fn branch(&mut self, target: u64, constants: Constants) {
        let end = self.start.saturating_add(self.bytes.len() as u64);
        if (self.start..end).contains(&target) {
            self.ways.push((target, constants));
        }
    }

    /// A call through `[register + displacement]`.
    fn slot(&mut self, decoded: &Instruction) {
        let through_table = decoded.op0_kind() == OpKind::Memory
            && decoded.memory_base().is_gpr64()
            && decoded.memory_base() != Register::RSP
            && decoded.memory_index() == Register::None;
        let slot = decoded.memory_displacement64();
        if through_table && slot < TABLE_LIMIT {
            self.facts.slots.insert(slot);
        }
    }

    /// A function is called with these constants, and may change what it need not keep.
    fn called(&mut self, constants: &mut Constants) {
        let [library, second, third, fourth] = ARGUMENTS.map(|register| constants[index(register)]);
        if library == Some(LIBRARY) {
            let is_file = |argument: Option<u64>| argument.is_some_and(|at| (self.is_file)(at));
            let reason = if is_file(fourth) {
                third
            } else if is_file(third) {
                second
            } else {
                None
            };
            self.facts.reasons.extend(reason.filter(|_| self.facts.reasons.len() < REASONS));
        }
        for register in [
            Register::RAX,
            Register::RCX,
            Register::RDX,
            Register::RSI,
            Register::RDI,
            Register::R8,
            Register::R9,
            Register::R10,
            Register::R11,
        ] {
            constants[index(register)] = None;
        }
    }

    /// An instruction that the next one follows.
    fn next(&mut self, decoded: &Instruction, constants: &mut Constants) {
        let value = constant(decoded, constants);
        let target = decoded.op0_register().full_register();
        if decoded.mnemonic() == Mnemonic::Mov
            && target == Register::RBP
            && decoded.op1_register() == Register::RSP
        {
            self.has_frame = true;
        }
        let info = self.info.info(decoded);
        let writes = |access: OpAccess| {
            !matches!(access, OpAccess::Read | OpAccess::CondRead | OpAccess::NoMemAccess)
        };
        for memory in info.used_memory() {
            let of_stack = memory.base() == Register::RSP
                || (memory.base() == Register::RBP && self.has_frame);
            self.facts.stores |= writes(memory.access()) && !of_stack;
        }
        for used in info.used_registers() {
            let register = used.register().full_register();
            if writes(used.access()) && register.is_gpr64() {
                constants[index(register)] = None;
            }
        }
        if let Some(value) = value {
            constants[index(target)] = Some(value);
        }
    }
}

fn index(register: Register) -> usize {
    register.number() & 0xf
}

/// The constant that an instruction puts into its first operand, a whole register.
fn constant(decoded: &Instruction, constants: &Constants) -> Option<u64> {
    if decoded.op0_kind() != OpKind::Register {
        return None;
    }
    let target = decoded.op0_register();
    if !(target.is_gpr32() || target.is_gpr64()) {
        return None;
    }
    match decoded.code() {
        Code::Mov_r32_imm32 => Some(u64::from(decoded.immediate32())),
        Code::Mov_r64_imm64 => Some(decoded.immediate64()),
        Code::Mov_rm64_imm32 => Some(decoded.immediate32to64() as u64),
        Code::Xor_r32_rm32 | Code::Xor_rm32_r32
            if decoded.op1_kind() == OpKind::Register && decoded.op1_register() == target =>
        {
            Some(0)
        }
        Code::Lea_r64_m if decoded.is_ip_rel_memory_operand() => {
            Some(decoded.ip_rel_memory_address())
        }
        Code::Mov_r64_rm64 | Code::Mov_rm64_r64 if decoded.op1_kind() == OpKind::Register => {
            constants[index(decoded.op1_register())]
        }
        Code::Mov_r32_rm32 | Code::Mov_rm32_r32 if decoded.op1_kind() == OpKind::Register => {
            constants[index(decoded.op1_register())].map(|value| value & 0xffff_ffff)
        }
        _ => None,
    }
}

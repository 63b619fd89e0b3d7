//! The code of one Go function, decoded from its first instruction to its last: where probes belong.
//! Takes the bytes from a function's start to its end; gives instructions at which what a probe reads
//! there is proven by the code around. Knows Go's ABI (`src/cmd/compile/abi-internal.md`), no files.
//!
//! A Go function first compares its stack pointer with the goroutine's limit and branches to where the
//! stack is grown, from where it begins anew. Arguments are in registers then: RAX, RBX, RCX, RDI, RSI,
//! and R14 is the goroutine. Each argument has a home above the return address, in the frame of the
//! caller. RBP, once the frame is made, is 8 below the stack pointer at entry.

use iced_x86::{
    Code, ConditionCode, Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory,
    Mnemonic, OpAccess, OpKind, Register,
};

use super::pclntab::Range;

/// Bytes of a function's code. The largest that is looked at has under 3 KiB; built for a debugger
/// some 6.
const BODY_LIMIT: u64 = 64 << 10;

/// Instructions before the branch of the stack check: a frame of kilobytes takes five.
const CHECK_LIMIT: usize = 6;

/// Calls of one function that are looked at; more are refused. `Read` reads a record at two places.
const CALLS_LIMIT: usize = 8;

/// Instructions behind the one that restores RBP, up to the return.
const RELEASE_LIMIT: usize = 4;

/// Where `g.stackguard0` is in a goroutine (`src/runtime/runtime2.go`), as linkers rely on.
const STACK_GUARD: u64 = 16;

/// Homes of the first two arguments, from the stack pointer at entry.
const HOMES: [(Register, i64); 2] = [(Register::RAX, 8), (Register::RBX, 16)];

/// RBP once the frame is made, from the stack pointer at entry.
const FRAME_POINTER: i64 = -8;

#[derive(Debug)]
pub(super) struct Body {
    instructions: Vec<Instruction>,
    /// Index of the stack check's branch.
    check: usize,
    /// Index of the first instruction where the stack is grown.
    growing: usize,
}

/// The frame that a function makes.
#[derive(Clone, Copy, Debug)]
struct Frame {
    /// Bytes from the stack pointer to where it was at entry.
    depth: i64,
    /// Index of the first instruction behind the ones that make it.
    made: usize,
}

impl Body {
    /// Size of the function's code, if it is one that is looked at.
    pub(super) fn len(range: Range) -> Option<usize> {
        let len =
            range.end.checked_sub(range.start).filter(|len| (1..=BODY_LIMIT).contains(len))?;
        usize::try_from(len).ok()
    }

    /// `None`: the bytes are not whole instructions up to the end, or do not begin and end as a
    /// function does that has its arguments in registers.
    pub(super) fn read(start: u64, bytes: &[u8]) -> Option<Self> {
        let mut decoder = Decoder::with_ip(64, bytes, start, DecoderOptions::NONE);
        let mut instructions = Vec::with_capacity(bytes.len() / 4);
        while decoder.can_decode() {
            let decoded = decoder.decode();
            if decoded.is_invalid() {
                return None;
            }
            instructions.push(decoded);
        }
        // What fills up to the next function's alignment.
        while instructions.last().is_some_and(|last| last.mnemonic() == Mnemonic::Int3) {
            instructions.pop();
        }
        let check = stack_check(&instructions)?;
        let growing = instructions[check].near_branch_target();
        let growing = instructions.iter().position(|decoded| decoded.ip() == growing)?;
        let again = instructions.last()?;
        let whole =
            check < growing && again.is_jmp_short_or_near() && again.near_branch_target() == start;
        whole.then_some(Self { instructions, check, growing })
    }

    /// The branch of the stack check, where every argument is still in its register. It is executed
    /// once more each time the stack was grown: a call begins where it is not taken.
    pub(super) fn entry(&self) -> u64 {
        self.instructions[self.check].ip()
    }

    /// The call of `memmove` that copies to the buffer that is the second argument, at its start.
    /// There the first argument is at `RBP + 16`, and RBX and RCX say which bytes, and how many.
    pub(super) fn copy(&self, memmove: &[u64]) -> Option<u64> {
        let frame = self.frame()?;
        let mut calls = self.calls(memmove);
        let (Some(index), None) = (calls.next(), calls.next()) else { return None };
        let first =
            self.instructions[..index].iter().rposition(|before| writes(before, Register::RAX))?;
        let from_home = self.loads(first, Register::RAX, frame.depth + HOMES[1].1);
        (from_home && self.is_straight(first, index)).then(|| self.instructions[index].ip())
    }

    /// The branch behind each call of a function, on whether it returned an error. There the first
    /// argument is at `RBP + 16`, and RAX and RBX are the error.
    pub(super) fn outcomes(&self, called: &[u64]) -> Option<Vec<u64>> {
        self.frame()?;
        if self.calls(called).count() > CALLS_LIMIT {
            return None;
        }
        let outcomes = self.calls(called).map(|call| {
            let mut behind = (call + 1..self.growing)
                .map(|index| (index, &self.instructions[index]))
                .filter(|(_, decoded)| !is_nop(decoded));
            let (_, test) = behind.next()?;
            let (index, branch) = behind.next()?;
            let tests = test.code() == Code::Test_rm64_r64
                && (test.op0_register(), test.op1_register()) == (Register::RAX, Register::RAX);
            let on_zero = matches!(branch.condition_code(), ConditionCode::e | ConditionCode::ne)
                && branch.is_jcc_short_or_near();
            (tests && on_zero && self.is_straight(call + 1, index)).then(|| branch.ip())
        });
        outcomes.collect::<Option<Vec<u64>>>().filter(|outcomes| !outcomes.is_empty())
    }

    /// The returns. There the first argument is at `RSP + 8`, the second at `RSP + 16`, and RAX, RBX
    /// and RCX are the results.
    pub(super) fn returns(&self) -> Option<Vec<u64>> {
        let frame = self.frame()?;
        let body = &self.instructions[..self.growing];
        let returns = body.iter().enumerate().filter(|(_, decoded)| decoded.code() == Code::Retnq);
        let returns = returns.map(|(index, decoded)| {
            let before = body[..index].iter().rev().filter(|decoded| !is_nop(decoded));
            let depth: i64 = before.map_while(released).sum();
            (depth == frame.depth).then(|| decoded.ip())
        });
        returns.collect::<Option<Vec<u64>>>().filter(|returns| !returns.is_empty())
    }

    /// Indices of the calls of a function.
    fn calls<'a>(&'a self, called: &'a [u64]) -> impl Iterator<Item = usize> + 'a {
        let body = self.instructions[..self.growing].iter().enumerate();
        body.filter(|(_, decoded)| {
            decoded.code() == Code::Call_rel32_64 && called.contains(&decoded.near_branch_target())
        })
        .map(|(index, _)| index)
    }

    /// The frame, if it is made in the usual way and the first two arguments stay in their homes.
    fn frame(&self) -> Option<Frame> {
        let frame = self.making()?;
        let mut factory = InstructionInfoFactory::new();
        for index in frame.made..self.growing {
            let decoded = &self.instructions[index];
            if writes_to(&mut factory, decoded, Register::RBP) && !self.returns_soon(index) {
                return None;
            }
            for used in factory.info(decoded).used_memory() {
                let base = match used.base() {
                    Register::RSP => -frame.depth,
                    Register::RBP => FRAME_POINTER,
                    _ => continue,
                };
                let from = base.checked_add(used.displacement() as i64)?;
                let until = from.checked_add(used.memory_size().size() as i64)?;
                let homes = from < HOMES[1].1 + 8 && until > HOMES[0].1;
                // An index leads anywhere, and an address that is taken goes anywhere.
                let changes = match used.access() {
                    OpAccess::NoMemAccess => homes,
                    access => is_written(access) && (homes || used.index() != Register::None),
                };
                if changes {
                    return None;
                }
            }
        }
        Some(frame)
    }

    /// The instructions behind the stack check, up to the first that does more than make the frame and
    /// save arguments.
    fn making(&self) -> Option<Frame> {
        let mut factory = InstructionInfoFactory::new();
        let (mut depth, mut pointer) = (0i64, None);
        let mut changed = [false; HOMES.len()];
        let mut saved = [false; HOMES.len()];
        let mut made = self.check + 1;
        for decoded in &self.instructions[self.check + 1..self.growing] {
            let first_is = |register| decoded.op0_register() == register;
            match decoded.code() {
                Code::Push_r64 => depth += 8,
                Code::Sub_rm64_imm8 | Code::Sub_rm64_imm32 if first_is(Register::RSP) => {
                    depth = depth.checked_add(decoded.immediate(1) as i64)?;
                }
                Code::Mov_r64_rm64 | Code::Mov_rm64_r64
                    if first_is(Register::RBP) && decoded.op1_register() == Register::RSP =>
                {
                    pointer = Some(-depth);
                }
                Code::Lea_r64_m if first_is(Register::RBP) && is_plain(decoded, Register::RSP) => {
                    pointer = Some((decoded.memory_displacement64() as i64).checked_sub(depth)?);
                }
                _ if decoded.flow_control() != FlowControl::Next => break,
                _ if writes_to(&mut factory, decoded, Register::RSP)
                    || writes_to(&mut factory, decoded, Register::RBP) =>
                {
                    break;
                }
                Code::Mov_rm64_r64 if is_plain(decoded, Register::RSP) => {
                    let to = (decoded.memory_displacement64() as i64).checked_sub(depth)?;
                    for (which, (register, home)) in HOMES.iter().enumerate() {
                        if to == *home {
                            saved[which] = decoded.op1_register() == *register && !changed[which];
                        }
                    }
                }
                _ => {}
            }
            for (which, (register, _)) in HOMES.iter().enumerate() {
                changed[which] |= writes_to(&mut factory, decoded, *register);
            }
            made += 1;
            if saved == [true; HOMES.len()] && pointer.is_some() {
                break;
            }
        }
        let whole = saved == [true; HOMES.len()] && pointer == Some(FRAME_POINTER);
        whole.then_some(Frame { depth, made })
    }

    /// The frame is given up: nothing but that, and a return.
    fn returns_soon(&self, index: usize) -> bool {
        let mut behind = self.instructions[index + 1..].iter().take(RELEASE_LIMIT);
        let next = behind.find(|decoded| released(decoded).is_none() && !is_nop(decoded));
        next.is_some_and(|next| next.code() == Code::Retnq)
    }

    /// Loads a register from the stack.
    fn loads(&self, index: usize, register: Register, displacement: i64) -> bool {
        let decoded = &self.instructions[index];
        decoded.code() == Code::Mov_r64_rm64
            && decoded.op0_register() == register
            && is_plain(decoded, Register::RSP)
            && decoded.memory_displacement64() as i64 == displacement
    }

    /// What is executed at `last` came through all from `first` on: no call between, and nothing
    /// branches in.
    fn is_straight(&self, first: usize, last: usize) -> bool {
        let between = &self.instructions[first + 1..=last];
        let led_in = self.instructions.iter().any(|decoded| {
            let indirect = decoded.flow_control() == FlowControl::IndirectBranch;
            let target = decoded.near_branch_target();
            let branches = !matches!(decoded.flow_control(), FlowControl::Next | FlowControl::Call);
            indirect || (branches && between.iter().any(|inside| inside.ip() == target))
        });
        let calls = self.instructions[first..last].iter().any(|decoded| {
            !matches!(decoded.flow_control(), FlowControl::Next | FlowControl::ConditionalBranch)
        });
        !led_in && !calls
    }
}

/// Index of the branch to where the stack is grown.
fn stack_check(instructions: &[Instruction]) -> Option<usize> {
    let compares = |decoded: &Instruction| {
        decoded.code() == Code::Cmp_r64_rm64
            && is_plain(decoded, Register::R14)
            && decoded.memory_displacement64() == STACK_GUARD
            && matches!(decoded.op0_register(), Register::RSP | Register::R12)
    };
    let limit = instructions.len().min(CHECK_LIMIT);
    let compare = instructions[..limit].iter().position(compares)?;
    // A large frame's end is computed first, in R12, and may lie below all memory.
    let harmless = |decoded: &Instruction| {
        decoded.op0_register() == Register::R12 || decoded.code() == Code::Jb_rel32_64
    };
    let branch = instructions.get(compare + 1)?;
    let whole = instructions[..compare].iter().all(harmless)
        && matches!(branch.code(), Code::Jbe_rel8_64 | Code::Jbe_rel32_64);
    whole.then_some(compare + 1)
}

/// Memory at a register and a distance, and nothing else.
fn is_plain(decoded: &Instruction, base: Register) -> bool {
    let kinds = [decoded.op0_kind(), decoded.op1_kind()];
    kinds.contains(&OpKind::Memory)
        && decoded.memory_base() == base
        && decoded.memory_index() == Register::None
        && decoded.segment_prefix() == Register::None
}

/// What aligns: no-operations, of which one is `xchg %ax,%ax`.
fn is_nop(decoded: &Instruction) -> bool {
    let exchanges_itself = decoded.mnemonic() == Mnemonic::Xchg
        && decoded.op0_kind() == OpKind::Register
        && decoded.op0_register() == decoded.op1_register();
    decoded.mnemonic() == Mnemonic::Nop || exchanges_itself
}

/// Bytes of the stack that an instruction gives up, if that is all it does but for restoring RBP.
fn released(decoded: &Instruction) -> Option<i64> {
    match decoded.code() {
        Code::Add_rm64_imm8 | Code::Add_rm64_imm32 if decoded.op0_register() == Register::RSP => {
            Some(decoded.immediate(1) as i64)
        }
        // Of the compiler since Go 1.21, and of the one before.
        Code::Pop_r64 if decoded.op0_register() == Register::RBP => Some(8),
        Code::Mov_r64_rm64
            if decoded.op0_register() == Register::RBP && is_plain(decoded, Register::RSP) =>
        {
            Some(0)
        }
        _ => None,
    }
}

fn writes(decoded: &Instruction, register: Register) -> bool {
    decoded.flow_control() != FlowControl::Next && decoded.is_call_near()
        || writes_to(&mut InstructionInfoFactory::new(), decoded, register)
}

fn writes_to(
    factory: &mut InstructionInfoFactory,
    decoded: &Instruction,
    register: Register,
) -> bool {
    let info = factory.info(decoded);
    info.used_registers()
        .iter()
        .any(|used| used.register().full_register() == register && is_written(used.access()))
}

fn is_written(access: OpAccess) -> bool {
    !matches!(access, OpAccess::None | OpAccess::Read | OpAccess::CondRead | OpAccess::NoMemAccess)
}

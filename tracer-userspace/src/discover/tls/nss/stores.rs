//! What a file's code stores into its own data: addresses of code, and constants.
//! Takes an image; decodes all of its code once, with what is in the registers as far as that is known.
//! Compilers make of a constant table that is copied at start the code that stores each of its words,
//! two at a time.

use std::collections::BTreeMap;

use iced_x86::{
    Code, Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic,
    OpAccess, OpKind, Register,
};

use crate::discover::Image;

/// Bytes of code that are decoded. NSS' `libssl3` has 300 KiB; a program that it is linked into is no
/// subject here.
const CODE_LIMIT: u64 = 4 << 20;

#[derive(Debug, Default)]
pub(super) struct Stores {
    /// Where each went; what different code stores in one place is in none.
    code: BTreeMap<u64, Option<u64>>,
    constants: Vec<(u64, u32)>,
}

impl Stores {
    /// The address of code that is stored there.
    pub(super) fn code(&self, at: u64) -> Option<u64> {
        self.code.get(&at).copied().flatten()
    }

    /// Where this constant of 32 bits is stored.
    pub(super) fn constants(&self, value: u32) -> impl Iterator<Item = u64> {
        self.constants.iter().filter(move |(_, have)| *have == value).map(|(at, _)| *at)
    }
}

/// `None`: there is too much code.
pub(super) fn read(image: &Image<'_>) -> Option<Stores> {
    let text = image.section(".text")?;
    if text.len > CODE_LIMIT {
        return None;
    }
    let bytes = image.bytes(text.address, usize::try_from(text.len).ok()?)?;
    let mut stores = Stores::default();
    let mut state = State::default();
    let mut factory = InstructionInfoFactory::new();
    let mut decoder = Decoder::with_ip(64, &bytes, text.address, DecoderOptions::NONE);
    let mut decoded = Instruction::default();
    while decoder.can_decode() {
        decoder.decode_out(&mut decoded);
        if decoded.flow_control() != FlowControl::Next {
            // What a call leaves in them, or who comes by here otherwise, is not known.
            state = State::default();
            continue;
        }
        state.store(image, &decoded, &mut stores);
        state.step(image, &decoded, &mut factory);
    }
    Some(stores)
}

/// What registers hold, where that is an address of code.
#[derive(Debug, Default)]
struct State {
    general: BTreeMap<Register, u64>,
    /// The halves of a vector register.
    vector: BTreeMap<Register, [Option<u64>; 2]>,
}

impl State {
    /// What the instruction puts into the file's data.
    fn store(&self, image: &Image<'_>, decoded: &Instruction, stores: &mut Stores) {
        if decoded.op0_kind() != OpKind::Memory || !decoded.is_ip_rel_memory_operand() {
            return;
        }
        let at = decoded.ip_rel_memory_address();
        let mut keep = |at: u64, value: Option<u64>| {
            let Some(value) = value.filter(|value| image.code_offset(*value).is_some()) else {
                return;
            };
            let kept = stores.code.entry(at).or_insert(Some(value));
            if *kept != Some(value) {
                *kept = None;
            }
        };
        match decoded.code() {
            Code::Mov_rm64_r64 => keep(at, self.general.get(&decoded.op1_register()).copied()),
            Code::Mov_rm32_imm32 => stores.constants.push((at, decoded.immediate32())),
            Code::Movups_xmmm128_xmm
            | Code::Movaps_xmmm128_xmm
            | Code::Movdqa_xmmm128_xmm
            | Code::Movdqu_xmmm128_xmm => {
                let [low, high] = self.halves(decoded.op1_register());
                keep(at, low);
                keep(at.wrapping_add(8), high);
            }
            Code::Movq_xmmm64_xmm => keep(at, self.halves(decoded.op1_register())[0]),
            _ => {}
        }
    }

    fn halves(&self, register: Register) -> [Option<u64>; 2] {
        self.vector.get(&register).copied().unwrap_or_default()
    }

    /// What the registers hold behind the instruction.
    fn step(
        &mut self,
        image: &Image<'_>,
        decoded: &Instruction,
        factory: &mut InstructionInfoFactory,
    ) {
        let (first, second) = (decoded.op0_register(), decoded.op1_register());
        match decoded.code() {
            Code::Lea_r64_m if decoded.is_ip_rel_memory_operand() => {
                let address = decoded.ip_rel_memory_address();
                self.general.remove(&first);
                if image.code_offset(address).is_some() {
                    self.general.insert(first, address);
                }
            }
            Code::Movq_xmm_rm64 if decoded.op1_kind() == OpKind::Register => {
                let low = self.general.get(&second).copied();
                self.vector.insert(first, [low, None]);
            }
            Code::Punpcklqdq_xmm_xmmm128 | Code::Movlhps_xmm_xmm
                if decoded.op1_kind() == OpKind::Register =>
            {
                let halves = [self.halves(first)[0], self.halves(second)[0]];
                self.vector.insert(first, halves);
            }
            _ => self.forget(decoded, factory),
        }
    }

    /// Every register that the instruction may write.
    fn forget(&mut self, decoded: &Instruction, factory: &mut InstructionInfoFactory) {
        // Most instructions by far; none of them writes a register that is known.
        if matches!(decoded.mnemonic(), Mnemonic::Nop | Mnemonic::Cmp | Mnemonic::Test) {
            return;
        }
        for used in factory.info(decoded).used_registers() {
            if !matches!(used.access(), OpAccess::Read | OpAccess::CondRead) {
                self.general.remove(&used.register().full_register());
                self.vector.retain(|register, _| {
                    register.full_register() != used.register().full_register()
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, path::Path};

    use super::super::find;
    use crate::discover::{Function, Image, Stack};

    /// Debian's, where it is there: its table is filled in by code, two words at a time.
    #[test]
    fn methods_of_a_real_library_are_found() {
        let path = Path::new("/usr/lib/x86_64-linux-gnu/libssl3.so");
        let Ok(file) = File::open(path) else {
            println!("not run: no {}", path.display());
            return;
        };
        let finding = find(&Image::read(&file).unwrap()).unwrap();
        assert_eq!(finding.stack, Stack::Nss);
        let count =
            |function| finding.sites.iter().filter(|site| site.function == function).count();
        let counts = [Function::SslNew, Function::SslWrite, Function::NssRead, Function::NssRecv];
        assert_eq!(counts.map(count), [2, 2, 1, 1]);
    }

    #[test]
    fn library_without_a_layer_has_none() {
        let file = File::open("/proc/self/exe").unwrap();
        assert!(find(&Image::read(&file).unwrap()).is_none());
    }
}

//! Values in the memory of the traced process.
//! Takes an address; gives a copy, or nothing where there is none: the helper checks.

use aya_ebpf::helpers::generated::bpf_probe_read_user;

#[inline(always)]
pub(crate) fn read<T: Copy + Default>(address: u64) -> Option<T> {
    let mut value = T::default();
    // SAFETY: the destination is a value of that size, of integers; the helper checks the source and
    // fails rather than faults.
    let failed = unsafe {
        bpf_probe_read_user((&raw mut value).cast(), size_of::<T>() as u32, address as *const _)
    };
    (failed == 0).then_some(value)
}

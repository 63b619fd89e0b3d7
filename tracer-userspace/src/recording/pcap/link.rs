//! The IP packet in a captured frame, below whatever the link put around it.
//! Takes a frame and its link type (<https://www.tcpdump.org/linktypes.html>); gives the packet.
//! Ethernet with VLAN tags, Linux cooked (both versions), BSD loopback and raw IP; no others.

const NULL: i32 = 0;
const ETHERNET: i32 = 1;
/// `DLT_RAW` as some systems number it in files.
const RAW_BSD: [i32; 2] = [12, 14];
const RAW: i32 = 101;
const LOOP: i32 = 108;
const LINUX_SLL: i32 = 113;
const IPV4: i32 = 228;
const IPV6: i32 = 229;
const LINUX_SLL2: i32 = 276;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
/// IEEE 802.1Q, 802.1ad, and what was used before it.
const ETHERTYPES_VLAN: [u16; 3] = [0x8100, 0x88a8, 0x9100];

/// `AF_INET`, and `AF_INET6` of Linux, NetBSD and OpenBSD, FreeBSD, Darwin.
const FAMILIES: [u32; 5] = [2, 10, 24, 28, 30];

/// Whether frames of this link type are understood.
pub(super) fn is_known(link: i32) -> bool {
    matches!(link, NULL | ETHERNET | RAW | LOOP | LINUX_SLL | IPV4 | IPV6 | LINUX_SLL2)
        || RAW_BSD.contains(&link)
}

/// The IP packet in a frame; `None` where it holds none.
pub(super) fn packet(link: i32, frame: &[u8]) -> Option<&[u8]> {
    match link {
        ETHERNET => tagged(number(frame, 12)?, frame.get(14..)?),
        LINUX_SLL => tagged(number(frame, 14)?, frame.get(16..)?),
        LINUX_SLL2 => tagged(number(frame, 0)?, frame.get(20..)?),
        NULL | LOOP => {
            let (family, packet) = frame.split_first_chunk::<4>()?;
            // NULL has the byte order of whoever captured, LOOP the network's.
            let family = [u32::from_be_bytes(*family), u32::from_le_bytes(*family)];
            family.iter().any(|family| FAMILIES.contains(family)).then_some(packet)
        }
        link if is_known(link) => Some(frame),
        _ => None,
    }
}

/// What stands behind an EtherType and any VLAN tags after it.
fn tagged(mut ethertype: u16, mut rest: &[u8]) -> Option<&[u8]> {
    while ETHERTYPES_VLAN.contains(&ethertype) {
        ethertype = number(rest, 2)?;
        rest = rest.get(4..)?;
    }
    matches!(ethertype, ETHERTYPE_IPV4 | ETHERTYPE_IPV6).then_some(rest)
}

fn number(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_be_bytes(*bytes))
}

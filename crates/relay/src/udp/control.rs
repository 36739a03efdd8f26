//! Control messages beside a datagram (cmsg(3)): the local address of either family (IP_PKTINFO,
//! IPV6_PKTINFO) and the size of a run's segments (UDP_SEGMENT).

use std::mem::{size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Ancillary bytes of one message: PKTINFO of either family and UDP_SEGMENT or alignment slack.
const CONTROL_WORDS: usize = 12;

/// Aligned as `cmsghdr` wants it.
pub(super) type Control = [u64; CONTROL_WORDS];
/// Nothing in it.
pub(super) const EMPTY: Control = [0; CONTROL_WORDS];

/// The destination address of a received message, from its PKTINFO.
pub(super) fn local_ip(header: &libc::msghdr) -> Option<IpAddr> {
    // SAFETY: the kernel filled `msg_control` up to the length that it left in `msg_controllen`,
    // and both still lie in the batch's own boxes. The CMSG functions stay within that length, and
    // data is read unaligned only after type and length were compared.
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(header);
        while !message.is_null() {
            let data = libc::CMSG_DATA(message);
            let len = (*message).cmsg_len as usize;
            match ((*message).cmsg_level, (*message).cmsg_type) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO)
                    if len >= libc::CMSG_LEN(size_of::<libc::in_pktinfo>() as _) as usize =>
                {
                    let info = data.cast::<libc::in_pktinfo>().read_unaligned();
                    return Some(Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr)).into());
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO)
                    if len >= libc::CMSG_LEN(size_of::<libc::in6_pktinfo>() as _) as usize =>
                {
                    let info = data.cast::<libc::in6_pktinfo>().read_unaligned();
                    return Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into());
                }
                _ => message = libc::CMSG_NXTHDR(header, message),
            }
        }
    }
    None
}

/// Writes PKTINFO (unless the local address is a wildcard) and UDP_SEGMENT (for a run of
/// datagrams of `segment` bytes) into the header's control room; returns its used length.
pub(super) fn write_control(
    header: &mut libc::msghdr,
    local: IpAddr,
    segment: Option<u16>,
) -> usize {
    let mut used = 0;
    // SAFETY: `msg_control` points to a zeroable, aligned `Control` of `msg_controllen` bytes that
    // is ours alone; two messages of at most 40 and 24 bytes fit into its 96. CMSG_FIRSTHDR and
    // CMSG_NXTHDR return null beyond it. The room is zeroed first because CMSG_NXTHDR reads the
    // length of the message that it steps to.
    unsafe {
        header.msg_control.cast::<Control>().write(EMPTY);
        let mut message = libc::CMSG_FIRSTHDR(header);
        match local {
            ip if ip.is_unspecified() => {}
            IpAddr::V4(ip) => {
                let mut info: libc::in_pktinfo = zeroed();
                info.ipi_spec_dst.s_addr = u32::from(ip).to_be();
                used += put(message, libc::IPPROTO_IP, libc::IP_PKTINFO, info);
                message = libc::CMSG_NXTHDR(header, message);
            }
            IpAddr::V6(ip) => {
                let mut info: libc::in6_pktinfo = zeroed();
                info.ipi6_addr.s6_addr = ip.octets();
                used += put(message, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info);
                message = libc::CMSG_NXTHDR(header, message);
            }
        }
        if let Some(segment) = segment {
            used += put(message, libc::SOL_UDP, libc::UDP_SEGMENT, segment);
        }
    }
    used
}

/// Writes one control message; returns the space it takes, 0 if there was no room for it.
///
/// # Safety
/// `message` is null or points to a writable control message header with room for `value` behind.
unsafe fn put<T>(
    message: *mut libc::cmsghdr,
    level: libc::c_int,
    kind: libc::c_int,
    value: T,
) -> usize {
    if message.is_null() {
        return 0;
    }
    // SAFETY: not null, and the caller vouches for the room.
    unsafe {
        (*message).cmsg_level = level;
        (*message).cmsg_type = kind;
        (*message).cmsg_len = libc::CMSG_LEN(size_of::<T>() as _) as _;
        libc::CMSG_DATA(message).cast::<T>().write_unaligned(value);
        libc::CMSG_SPACE(size_of::<T>() as _) as usize
    }
}

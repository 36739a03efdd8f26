//! The addresses of this host's interfaces.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Addresses at which a socket bound to `bound` can be reached: itself, or for a wildcard every
/// address of the same family on an interface that is up. Link-local IPv6 is left out (browsers do
/// not pair it), and so is loopback unless there is nothing else.
///
/// # Errors
/// As the system says when it cannot list interfaces.
pub fn local_addresses(bound: SocketAddr) -> io::Result<Vec<SocketAddr>> {
    if !bound.ip().is_unspecified() {
        return Ok(vec![bound]);
    }
    let mut found = interface_ips()?;
    found.retain(|ip| ip.is_ipv4() == bound.is_ipv4());
    if found.iter().any(|ip| !ip.is_loopback()) {
        found.retain(|ip| !ip.is_loopback());
    }
    found.sort_unstable();
    found.dedup();
    Ok(found
        .into_iter()
        .map(|ip| SocketAddr::new(ip, bound.port()))
        .collect())
}

fn interface_ips() -> io::Result<Vec<IpAddr>> {
    let mut list = std::ptr::null_mut();
    // SAFETY: `list` is a live pointer variable that the call sets on success.
    if unsafe { libc::getifaddrs(&raw mut list) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut found = Vec::new();
    let mut next = list;
    while !next.is_null() {
        // SAFETY: `next` is an element of the list that getifaddrs made and that is freed only
        // below; an address that is not null belongs to a sockaddr of the family it names, which
        // for the two families read here is as long as that family's structure.
        unsafe {
            let element = &*next;
            next = element.ifa_next;
            let is_up = element.ifa_flags & libc::IFF_UP as libc::c_uint != 0;
            if !is_up || element.ifa_addr.is_null() {
                continue;
            }
            match libc::c_int::from((*element.ifa_addr).sa_family) {
                libc::AF_INET => {
                    let v4 = element
                        .ifa_addr
                        .cast::<libc::sockaddr_in>()
                        .read_unaligned();
                    found.push(Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr)).into());
                }
                libc::AF_INET6 => {
                    let v6 = element
                        .ifa_addr
                        .cast::<libc::sockaddr_in6>()
                        .read_unaligned();
                    let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
                    if !ip.is_unicast_link_local() {
                        found.push(ip.into());
                    }
                }
                _ => {}
            }
        }
    }
    // SAFETY: `list` came from getifaddrs, is freed once, and no reference into it is left.
    unsafe { libc::freeifaddrs(list) };
    Ok(found)
}

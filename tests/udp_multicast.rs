//! Groups joined and left, and broadcast, within this host. What a machine does not have is skipped, and said.
mod net_support;
mod udp_support;

use dormouse::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use net_support::*;
use std::io;
use std::os::fd::AsFd;
use udp_support::*;

/// A group of this process's own, for use on this host only (RFC 2365).
fn group_v4() -> Ipv4Addr {
    let [_, _, high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(239, 255, high, low)
}

/// A group of this process's own that does not leave the interface (RFC 4291).
fn group_v6() -> Ipv6Addr {
    Ipv6Addr::new(0xff01, 0, 0, 0, 0, 0, 0x7570, std::process::id() as u16)
}

/// The interfaces that speak IPv6. What is sent to the group above goes through none of them, only back.
fn interfaces_v6() -> Vec<u32> {
    let table = std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    let indexes = table.lines().map(|line| u32::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap());
    indexes.collect()
}

/// A member of the group, and a sender whose multicasts come back to this host, with the address to send to.
struct Group {
    member: UdpSocket,
    sender: UdpSocket,
    addr: SocketAddr,
    /// The interface, if IPv6 is spoken.
    index: u32,
}

impl Group {
    /// The route is looked up at the first send, so whether it works shows only then.
    fn probed(self) -> io::Result<Group> {
        self.sender.send_to(b"probe", self.addr)?;
        self.member.set_read_timeout(Some(ms(1000)))?;
        self.member.recv(&mut [0; 9])?;
        self.member.set_read_timeout(None)?;
        Ok(self)
    }
}

fn group_of_v4() -> io::Result<Group> {
    let (member, sender) = (UdpSocket::bind("0.0.0.0:0")?, UdpSocket::bind("127.0.0.1:0")?);
    member.join_multicast_v4(&group_v4(), &Ipv4Addr::LOCALHOST)?;
    socket2::SockRef::from(&sender.as_fd()).set_multicast_if_v4(&Ipv4Addr::LOCALHOST)?;
    sender.set_multicast_ttl_v4(0)?;
    let addr = (group_v4(), member.local_addr()?.port()).into();
    Group { member, sender, addr, index: 0 }.probed()
}

fn group_of_v6(index: u32) -> io::Result<Group> {
    let (member, sender) = (UdpSocket::bind("[::]:0")?, UdpSocket::bind("[::]:0")?);
    member.join_multicast_v6(&group_v6(), index)?;
    // The scope id of the address says through which interface.
    let addr = SocketAddrV6::new(group_v6(), member.local_addr()?.port(), 0, index).into();
    Group { member, sender, addr, index }.probed()
}

/// The first interface on which a group works; else why it does not.
fn any_group_of_v6() -> io::Result<Group> {
    let none = Err(io::Error::other("no interface speaks IPv6"));
    interfaces_v6().into_iter().fold(none, |found, index| found.or_else(|_| group_of_v6(index)))
}

/// What the machine has, or `None` with a word on why not.
fn available(group: io::Result<Group>) -> Option<Group> {
    group.inspect_err(|error| eprintln!("skipped: no multicast on this machine: {error}")).ok()
}

/// The member waits and hears what is sent to the group.
fn hears(setting: Setting, group: &Group) {
    let member = group.member.try_clone().unwrap();
    let listener = setting.server(move || {
        let mut buf = [0; 20];
        let (n, source) = member.recv_from(&mut buf).unwrap();
        (buf[..n].to_vec(), source.port())
    });
    let (sender, addr) = (group.sender.try_clone().unwrap(), group.addr);
    let port = sender.local_addr().unwrap().port();
    setting.client(move || sender.send_to(b"to whom it concerns", addr).unwrap()).join();
    assert_eq!(listener.join(), (b"to whom it concerns".to_vec(), port));
}

/// What comes next to the member is what is sent to it alone.
fn hears_not(group: &Group, ip: std::net::IpAddr) {
    group.sender.send_to(b"to the group", group.addr).unwrap();
    let alone = SocketAddr::new(ip, group.member.local_addr().unwrap().port());
    group.sender.send_to(b"alone", alone).unwrap();
    let mut buf = [0; 20];
    let n = group.member.recv(&mut buf).unwrap();
    assert_eq!(&buf[..n], b"alone");
}

#[test]
fn a_member_hears_the_group_until_it_leaves() {
    in_three_settings(|setting| {
        let Some(group) = available(group_of_v4()) else { return };
        hears(setting, &group);
        group.member.leave_multicast_v4(&group_v4(), &Ipv4Addr::LOCALHOST).unwrap();
        socket2::SockRef::from(&group.member.as_fd()).set_multicast_all_v4(false).unwrap();
        hears_not(&group, Ipv4Addr::LOCALHOST.into());
    });
}

#[test]
fn a_member_hears_the_group_of_ipv6_until_it_leaves() {
    in_three_settings(|setting| {
        let Some(group) = available(any_group_of_v6()) else { return };
        hears(setting, &group);
        group.member.leave_multicast_v6(&group_v6(), group.index).unwrap();
        socket2::SockRef::from(&group.member.as_fd()).set_multicast_all_v6(false).unwrap();
        hears_not(&group, Ipv6Addr::LOCALHOST.into());
    });
}

#[test]
fn broadcast_needs_permission() {
    in_three_settings(|setting| {
        let receiver = UdpSocket::bind("0.0.0.0:0").unwrap();
        let addr: SocketAddr = ([127, 255, 255, 255], receiver.local_addr().unwrap().port()).into();
        let (sender, _) = bound();
        assert_eq!(sender.send_to(b"to all", addr).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        sender.set_broadcast(true).unwrap();
        let listener = setting.server(move || receiver.recv(&mut [0; 9]).unwrap());
        setting.client(move || sender.send_to(b"to all", addr).unwrap()).join();
        assert_eq!(listener.join(), 6);
    });
}

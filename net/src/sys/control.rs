//! The format of ancillary data, cmsg(3): control messages one behind the other in a buffer of bytes.
//!
//! Owns how a message is written, and how messages are told apart. Pure: makes no system call and knows no socket.
//!
//! Invariants:
//! 1. Headers are copied out of and into the bytes, never referred to in place: the buffer is the user's and may lie at
//!    any address, which a `cmsghdr` may not.
//! 2. Places are counted from the start of the buffer, as the kernel counts them.
//! 3. No length that stands in a header is believed beyond the end of the bytes, and a walk always ends.

use std::os::fd::RawFd;

/// The bytes of a header, with what pads it to where the data start (CMSG_LEN of nothing).
const HEADER: usize = align(size_of::<libc::cmsghdr>());

/// The bytes of one sender's credentials.
const CREDENTIALS: usize = size_of::<libc::ucred>();

/// What a control message holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Content<'a> {
    /// Descriptors (SCM_RIGHTS), for [`next_fd`].
    Rights(&'a [u8]),
    /// Credentials (SCM_CREDENTIALS), for [`next_credentials`].
    Credentials(&'a [u8]),
    /// Something else.
    Other {
        /// cmsg_level.
        level: i32,
        /// cmsg_type.
        kind: i32,
    },
}

/// Who sent a message, in the order of `struct ucred`; see unix(7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Credentials {
    /// The process.
    pub(crate) pid: i32,
    /// The user.
    pub(crate) uid: u32,
    /// The group.
    pub(crate) gid: u32,
}

/// Takes the first message off `rest`. A header that is cut off, or claims less than its own length, ends the walk; a
/// message that claims to go on past the end has the data that are there.
pub(crate) fn next<'a>(rest: &mut &'a [u8]) -> Option<Content<'a>> {
    let bytes = std::mem::take(rest);
    let header = header(bytes)?;
    let length = bytes.len().min(header.cmsg_len as _);
    let data = bytes.get(HEADER..length)?;
    *rest = bytes.get(align(length)..).unwrap_or_default();
    Some(match (header.cmsg_level, header.cmsg_type) {
        (libc::SOL_SOCKET, libc::SCM_RIGHTS) => Content::Rights(data),
        (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) => Content::Credentials(data),
        (level, kind) => Content::Other { level, kind },
    })
}

/// A copy of the header at the start of `bytes`, if there is a whole one.
fn header(bytes: &[u8]) -> Option<libc::cmsghdr> {
    let bytes = bytes.get(..size_of::<libc::cmsghdr>())?;
    // SAFETY: `bytes` is as long as a header, which is integers, for which all bytes are values.
    Some(unsafe { bytes.as_ptr().cast::<libc::cmsghdr>().read_unaligned() })
}

/// Takes the first descriptor off the data of a message; an incomplete one is left out.
pub(crate) fn next_fd(data: &mut &[u8]) -> Option<RawFd> {
    next_word(data).map(RawFd::from_ne_bytes)
}

/// All descriptors in the data of a message.
pub(crate) fn fds(mut data: &[u8]) -> impl Iterator<Item = RawFd> {
    std::iter::from_fn(move || next_fd(&mut data))
}

/// Takes the first credentials off the data of a message; incomplete ones are left out.
pub(crate) fn next_credentials(data: &mut &[u8]) -> Option<Credentials> {
    let (credentials, rest) = data.split_first_chunk::<CREDENTIALS>()?;
    *data = rest;
    let fields = &mut &credentials[..];
    Some(Credentials {
        pid: i32::from_ne_bytes(next_word(fields)?),
        uid: u32::from_ne_bytes(next_word(fields)?),
        gid: u32::from_ne_bytes(next_word(fields)?),
    })
}

fn next_word(data: &mut &[u8]) -> Option<[u8; 4]> {
    let (word, rest) = data.split_first_chunk()?;
    *data = rest;
    Some(*word)
}

/// Writes a message with `fds` behind the first `length` bytes of `buffer`. Gives the length with it; `None`, and
/// nothing is written, if there is no room.
pub(crate) fn add_fds(buffer: &mut [u8], length: usize, fds: &[RawFd]) -> Option<usize> {
    let (data, end) = add(buffer, length, libc::SCM_RIGHTS, size_of_val(fds))?;
    fill(data, fds.iter().map(|fd| fd.to_ne_bytes()));
    Some(end)
}

/// As [`add_fds`], with credentials.
pub(crate) fn add_credentials(buffer: &mut [u8], length: usize, all: &[Credentials]) -> Option<usize> {
    let (data, end) = add(buffer, length, libc::SCM_CREDENTIALS, all.len().checked_mul(CREDENTIALS)?)?;
    fill(data, all.iter().flat_map(|one| [one.pid.to_ne_bytes(), one.uid.to_ne_bytes(), one.gid.to_ne_bytes()]));
    Some(end)
}

/// Writes the header of a message for `size` bytes behind the first `length` of `buffer`. Gives where its data go, and
/// the length with it. What was received may end in a message without padding, which then gets it.
fn add(buffer: &mut [u8], length: usize, kind: libc::c_int, size: usize) -> Option<(&mut [u8], usize)> {
    let start = align(length);
    let end = start.checked_add(HEADER)?.checked_add(size)?.checked_next_multiple_of(size_of::<usize>())?;
    let message = buffer.get_mut(length..end)?;
    message.fill(0);
    let (place, data) = message[start - length..].split_at_mut(HEADER);
    // SAFETY: a header is integers, for which zero is a value.
    let mut header: libc::cmsghdr = unsafe { std::mem::zeroed() };
    header.cmsg_len = (HEADER + size) as _;
    header.cmsg_level = libc::SOL_SOCKET;
    header.cmsg_type = kind;
    // SAFETY: `place` is at least as long as a header.
    unsafe { place.as_mut_ptr().cast::<libc::cmsghdr>().write_unaligned(header) };
    Some((&mut data[..size], end))
}

/// Copies words to `data`, which they fill.
fn fill(data: &mut [u8], words: impl Iterator<Item = [u8; 4]>) {
    data.chunks_exact_mut(4).zip(words).for_each(|(place, word)| place.copy_from_slice(&word));
}

/// Messages begin at multiples of a word (CMSG_ALIGN). No overflow: a slice has at most `isize::MAX` bytes.
const fn align(length: usize) -> usize {
    length.next_multiple_of(size_of::<usize>())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All messages in `bytes`.
    fn walk(mut bytes: &[u8]) -> Vec<Content<'_>> {
        std::iter::from_fn(|| next(&mut bytes)).collect()
    }

    fn fds_of(content: &Content<'_>) -> Vec<RawFd> {
        let Content::Rights(data) = *content else { panic!("no descriptors: {content:?}") };
        fds(data).collect()
    }

    fn credentials_of(content: &Content<'_>) -> Vec<Credentials> {
        let Content::Credentials(mut data) = *content else { panic!("no credentials: {content:?}") };
        std::iter::from_fn(|| next_credentials(&mut data)).collect()
    }

    /// A buffer with two messages, and its length.
    fn two_messages() -> ([u8; 128], usize) {
        let mut buffer = [0xA5; 128];
        let length = add_fds(&mut buffer, 0, &[3, 4, 5]).unwrap();
        let length = add_credentials(&mut buffer, length, &[Credentials { pid: -1, uid: 2, gid: u32::MAX }]).unwrap();
        (buffer, length)
    }

    /// Overwrites the length in the header at `at`.
    fn claim(buffer: &mut [u8], at: usize, length: usize) {
        let mut header = header(&buffer[at..]).unwrap();
        header.cmsg_len = length as _;
        // SAFETY: `header` read as many bytes there.
        unsafe { buffer[at..].as_mut_ptr().cast::<libc::cmsghdr>().write_unaligned(header) };
    }

    #[test]
    fn what_is_added_is_found_again() {
        let (buffer, length) = two_messages();
        let found = walk(&buffer[..length]);
        assert_eq!(found.len(), 2);
        assert_eq!(fds_of(&found[0]), [3, 4, 5]);
        assert_eq!(credentials_of(&found[1]), [Credentials { pid: -1, uid: 2, gid: u32::MAX }]);
    }

    #[test]
    fn lengths_are_those_of_the_macros() {
        for count in 0..20_u32 {
            let mut buffer = [0; 128];
            // SAFETY: computes.
            let space = unsafe { libc::CMSG_SPACE(count * 4) } as usize;
            // SAFETY: computes.
            let length = unsafe { libc::CMSG_LEN(count * 4) };
            assert_eq!(add_fds(&mut buffer, 0, &vec![1; count as usize]), Some(space));
            assert_eq!(header(&buffer).unwrap().cmsg_len, length as _);
        }
        assert_eq!(CREDENTIALS, 12);
        assert_eq!(std::mem::offset_of!(libc::ucred, pid), 0);
        assert_eq!(std::mem::offset_of!(libc::ucred, uid), 4);
        assert_eq!(std::mem::offset_of!(libc::ucred, gid), 8);
    }

    #[test]
    fn the_buffer_may_lie_anywhere() {
        let mut space = [0; 96];
        for offset in 0..16 {
            let buffer = &mut space[offset..offset + 72];
            let length = add_fds(buffer, 0, &[7]).unwrap();
            let length = add_fds(buffer, length, &[8, 9]).unwrap();
            let found = walk(&buffer[..length]);
            assert_eq!(found.iter().map(fds_of).collect::<Vec<_>>(), [vec![7], vec![8, 9]]);
        }
    }

    #[test]
    fn what_does_not_fit_is_not_written() {
        let full = align(HEADER + 4);
        for room in 0..full {
            let mut buffer = vec![0xA5; room];
            assert_eq!(add_fds(&mut buffer, 0, &[1]), None);
            assert!(buffer.iter().all(|byte| *byte == 0xA5));
        }
        assert_eq!(add_fds(&mut vec![0; full], 0, &[1]), Some(full));
        assert_eq!(add_fds(&mut vec![0; full], full, &[]), None);
    }

    #[test]
    fn messages_without_data_are_messages() {
        let mut buffer = [0; 64];
        let length = add_fds(&mut buffer, 0, &[]).unwrap();
        let length = add_credentials(&mut buffer, length, &[]).unwrap();
        assert_eq!(walk(&buffer[..length]), [Content::Rights(&[]), Content::Credentials(&[])]);
    }

    #[test]
    fn a_message_is_added_behind_one_without_padding() {
        let mut buffer = [0xA5; 128];
        add_fds(&mut buffer, 0, &[1]).unwrap();
        let length = add_fds(&mut buffer, HEADER + 4, &[2]).unwrap();
        let found = walk(&buffer[..length]);
        assert_eq!(found.iter().map(fds_of).collect::<Vec<_>>(), [[1], [2]]);
    }

    #[test]
    fn every_prefix_is_walked_to_its_end() {
        let (buffer, length) = two_messages();
        for end in 0..length {
            // In a box of its own, so that a read past the end is one past an allocation.
            let bytes: Box<[u8]> = buffer[..end].into();
            let found = walk(&bytes);
            let whole = usize::from(end >= HEADER) + usize::from(end >= align(HEADER + 12) + HEADER);
            assert_eq!(found.len(), whole, "{end} bytes");
            if let Some(rights) = found.first() {
                assert_eq!(fds_of(rights), [3, 4, 5][..((end - HEADER) / 4).min(3)]);
            }
        }
    }

    #[test]
    fn a_length_below_that_of_a_header_ends_the_walk() {
        let (mut buffer, length) = two_messages();
        for claimed in 0..HEADER {
            claim(&mut buffer, 0, claimed);
            assert_eq!(walk(&buffer[..length]), []);
        }
    }

    #[test]
    fn a_length_past_the_end_is_cut_to_what_is_there() {
        for claimed in [HEADER + 13, 1000, isize::MAX as usize, usize::MAX - 7, usize::MAX] {
            let (mut buffer, length) = two_messages();
            let second = align(HEADER + 12);
            claim(&mut buffer, second, claimed);
            let bytes: Box<[u8]> = buffer[..length].into();
            let found = walk(&bytes);
            assert_eq!(found.len(), 2);
            assert_eq!(credentials_of(&found[1]).len(), 1);
        }
    }

    #[test]
    fn a_stranger_is_passed_over() {
        let (mut buffer, length) = two_messages();
        let mut stranger = header(&buffer).unwrap();
        stranger.cmsg_level = libc::IPPROTO_IPV6;
        stranger.cmsg_type = 50;
        // SAFETY: `header` read as many bytes there.
        unsafe { buffer.as_mut_ptr().cast::<libc::cmsghdr>().write_unaligned(stranger) };
        let found = walk(&buffer[..length]);
        assert_eq!(found[0], Content::Other { level: libc::IPPROTO_IPV6, kind: 50 });
        assert_eq!(credentials_of(&found[1]).len(), 1);
    }
}

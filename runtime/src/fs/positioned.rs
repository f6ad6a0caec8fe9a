//! Reading and writing at a given place, which leaves the cursor alone and needs no turn.

use super::File;
use super::buffer::LARGEST;
use crate::{blocking, budget};
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

impl FileExt for File {
    /// As std's. In a coroutine up to 256 KiB.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        if !blocking::in_coroutine() {
            return self.file.read_at(buf, offset);
        }
        budget::spend();
        let asked = buf.len().min(LARGEST);
        let buf = &mut buf[..asked];
        if let Some(answer) = self.read_at_once(&mut [IoSliceMut::new(buf)], Some(offset)) {
            return answer;
        }
        let file = Arc::clone(&self.file);
        let bytes = blocking::run(move || {
            let mut bytes = vec![0; asked];
            let count = file.read_at(&mut bytes, offset)?;
            bytes.truncate(count);
            io::Result::Ok(bytes)
        })??;
        buf[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }

    /// As std's. In a coroutine up to 256 KiB.
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        if !blocking::in_coroutine() {
            return self.file.write_at(buf, offset);
        }
        let (file, bytes) = (Arc::clone(&self.file), buf[..buf.len().min(LARGEST)].to_vec());
        blocking::run(move || file.write_at(&bytes, offset))?
    }
}

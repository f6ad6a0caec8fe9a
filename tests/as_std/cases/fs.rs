//! Files and directories.
#![allow(clippy::suspicious_open_options, clippy::nonsensical_open_options, reason = "these are cases")]

use super::super::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use super::super::os::unix::fs::{
    DirBuilderExt, DirEntryExt, FileExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink,
};
use crate::record::{Case, Record};
use std::io::{self, BufRead, BufReader, IoSlice, IoSliceMut, Read, Seek, SeekFrom, Write};
use std::time::{Duration, SystemTime};

pub(crate) const CASES: &[Case] = &[
    ("whole files", whole_files),
    ("names and links", names_and_links),
    ("directories", directories),
    ("how files are opened", how_files_are_opened),
    ("the cursor", the_cursor),
    ("several buffers", several_buffers),
    ("reading to the end", reading_to_the_end),
    ("at a place", at_a_place),
    ("clones share the cursor", clones_share_the_cursor),
    ("what is known of a file", what_is_known_of_a_file),
    ("locks", locks),
    ("what is no file", what_is_no_file),
    ("files in the place of devices", devices),
];

fn whole_files(seen: &mut Record) -> io::Result<()> {
    let path = seen.path("file");
    seen.answer("read of none", fs::read(&path));
    seen.answer("write", fs::write(&path, b"some text\n"));
    seen.answer("read", fs::read(&path));
    seen.answer("read as text", fs::read_to_string(&path));
    seen.answer("write over it", fs::write(&path, vec![b'x'; 1_000_000]));
    seen.value("all is there", fs::read(&path)? == vec![b'x'; 1_000_000]);
    seen.answer("write of no text", fs::write(&path, b"\xff\xfe"));
    seen.answer("read as text", fs::read_to_string(&path));
    let [copied, none] = ["copy", "none"].map(|name| seen.path(name));
    seen.answer("copy", fs::copy(&path, &copied));
    seen.answer("the copy", fs::read(&copied));
    seen.answer("copy of none", fs::copy(none, &copied));
    let folder = seen.folder().to_owned();
    seen.answer("read of a folder", fs::read(&folder));
    seen.answer("write to a folder", fs::write(folder, b"x"));
    seen.answer("a name with a zero", fs::read("a\0b"));
    Ok(())
}

fn names_and_links(seen: &mut Record) -> io::Result<()> {
    let [file, other, link, hard] = ["file", "other", "link", "hard"].map(|name| seen.path(name));
    fs::write(&file, b"x")?;
    seen.answer("exists", fs::exists(&file));
    seen.answer("rename", fs::rename(&file, &other));
    seen.answer("exists", fs::exists(&file));
    seen.answer("rename of none", fs::rename(&file, &other));
    seen.answer("symbolic link", symlink(&other, &link));
    seen.answer("leads", fs::read_link(&link));
    seen.answer("no link", fs::read_link(&other));
    seen.answer("is", fs::canonicalize(&link).map(|path| path.file_name().map(ToOwned::to_owned)));
    seen.answer("followed", fs::metadata(&link).map(|link| link.is_symlink()));
    seen.answer("not followed", fs::symlink_metadata(&link).map(|link| link.is_symlink()));
    seen.answer("hard link", fs::hard_link(&other, &hard));
    seen.answer("names", fs::metadata(&hard).map(|hard| hard.nlink()));
    seen.answer("again", fs::hard_link(&other, &hard));
    seen.answer("remove", fs::remove_file(&other));
    seen.answer("remove again", fs::remove_file(&other));
    seen.answer("leads nowhere", fs::metadata(&link).map(|_| ()));
    seen.answer("exists", fs::exists(&link));
    seen.answer("permissions", fs::set_permissions(&hard, fs::Permissions::from_mode(0o400)));
    seen.answer("mode", fs::metadata(&hard).map(|hard| hard.mode() & 0o777));
    seen.answer("permissions of none", fs::set_permissions(&other, fs::Permissions::from_mode(0o400)));
    #[allow(deprecated)]
    seen.answer("soft link", fs::soft_link(&hard, &file));
    Ok(())
}

fn directories(seen: &mut Record) -> io::Result<()> {
    let folder = seen.path("folder");
    seen.answer("list none", fs::read_dir(&folder).map(|_| ()));
    seen.answer("make", fs::create_dir(&folder));
    seen.answer("again", fs::create_dir(&folder));
    seen.answer("empty", fs::read_dir(&folder).map(Iterator::count));
    seen.answer("deep", fs::create_dir(folder.join("a/b/c")));
    seen.answer("all", fs::create_dir_all(folder.join("a/b/c")));
    seen.answer("all again", fs::create_dir_all(folder.join("a/b/c")));
    seen.answer("with a mode", DirBuilder::new().mode(0o700).create(folder.join("private")));
    seen.answer("mode", fs::metadata(folder.join("private")).map(|private| private.mode() & 0o777));
    seen.answer("recursive", DirBuilder::new().recursive(true).create(folder.join("private")));
    seen.value("builder", DirBuilder::new().recursive(true).create(folder.join("d/e")).is_ok());
    for n in 0..600 {
        fs::write(folder.join(format!("file{n:03}")), b"x")?;
    }
    let listing = fs::read_dir(&folder)?;
    seen.value("listing", &listing);
    let mut entries: Vec<_> = listing.collect::<io::Result<_>>()?;
    entries.sort_by_key(|entry| entry.file_name());
    for entry in &entries {
        let known = (entry.file_name(), entry.path(), entry.file_type()?.is_dir(), entry.metadata()?.is_file());
        seen.value("entry", known);
        seen.value("entry", entry);
        seen.value("its number", entry.ino() == fs::metadata(entry.path())?.ino());
    }
    let mut ended = fs::read_dir(folder.join("private"))?;
    seen.value("ends", (ended.next().is_none(), ended.next().is_none()));
    seen.answer("remove", fs::remove_dir(&folder));
    seen.answer("remove a file", fs::remove_dir(folder.join("file000")));
    seen.answer("remove all", fs::remove_dir_all(&folder));
    seen.answer("remove all again", fs::remove_dir_all(&folder));
    Ok(())
}

fn how_files_are_opened(seen: &mut Record) -> io::Result<()> {
    let path = seen.path("file");
    seen.answer("open none", File::open(&path));
    seen.answer("with nothing", OpenOptions::new().open(&path));
    seen.answer("create to read", OpenOptions::new().read(true).create(true).open(&path));
    seen.answer("cut and append", OpenOptions::new().append(true).truncate(true).open(&path));
    seen.value("options", OpenOptions::new().read(true).mode(0o600).custom_flags(0));
    let mut made = File::create_new(&path)?;
    seen.value("made", &made);
    seen.answer("again", File::create_new(&path));
    seen.answer("write", made.write(b"one"));
    seen.answer("flush", made.flush());
    let mut appends = OpenOptions::new().append(true).open(&path)?;
    seen.answer("append", appends.write_all(b"two"));
    seen.answer("read what appends", appends.read(&mut [0; 4]));
    seen.answer("content", fs::read_to_string(&path));
    seen.answer("write what reads", File::open(&path)?.write(b"x"));
    seen.answer("options of a file", File::options().write(true).open(&path).map(|_| ()));
    let created = File::create(&path)?;
    seen.answer("emptied", created.metadata().map(|metadata| metadata.len()));
    let private = seen.path("private");
    OpenOptions::new().write(true).create(true).mode(0o600).open(&private)?;
    seen.answer("mode", fs::metadata(private).map(|metadata| metadata.mode() & 0o777));
    let flags = libc::O_DIRECTORY;
    seen.answer("no folder", OpenOptions::new().read(true).custom_flags(flags).open(&path));
    Ok(())
}

fn the_cursor(seen: &mut Record) -> io::Result<()> {
    let mut file = File::create_new(seen.path("file"))?;
    seen.answer("write", file.write(b"0123456789"));
    seen.answer("at", file.stream_position());
    seen.answer("read at the end", file.read(&mut [0; 4]));
    for to in [
        SeekFrom::Start(2),
        SeekFrom::Current(3),
        SeekFrom::Current(-4),
        SeekFrom::End(-2),
        SeekFrom::End(5),
        SeekFrom::Current(-100),
        SeekFrom::Start(u64::MAX),
    ] {
        seen.answer(&format!("{to:?}"), file.seek(to));
        let mut bytes = [0; 3];
        seen.answer("read", file.read(&mut bytes));
        seen.value("bytes", bytes);
    }
    seen.answer("write past the end", file.write(b"x"));
    seen.answer("rewind", file.rewind());
    let mut text = String::new();
    seen.answer("all", file.read_to_string(&mut text));
    seen.value("text", text);
    file.seek(SeekFrom::Start(4))?;
    seen.answer("write in between", file.write(b"__"));
    let mut bytes = [0; 2];
    seen.answer("and read", file.read_exact(&mut bytes));
    seen.value("bytes", bytes);
    seen.answer("cut", file.set_len(3));
    seen.answer("at", file.stream_position());
    seen.answer("read nothing", file.read(&mut []));
    seen.answer("write nothing", file.write(&[]));
    seen.answer("too much to ask", file.read_exact(&mut [0; 100]));
    Ok(())
}

fn several_buffers(seen: &mut Record) -> io::Result<()> {
    let file = File::create_new(seen.path("file"))?;
    let slices = [IoSlice::new(b"abc"), IoSlice::new(b""), IoSlice::new(b"defg")];
    seen.answer("write", (&file).write_vectored(&slices));
    (&file).rewind()?;
    let (mut first, mut second) = ([0; 2], [0; 10]);
    let mut slices = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
    seen.answer("read", (&file).read_vectored(&mut slices));
    seen.value("bytes", (first, second));
    seen.answer("none", (&file).read_vectored(&mut []));
    seen.answer("none", (&file).write_vectored(&[]));
    Ok(())
}

fn reading_to_the_end(seen: &mut Record) -> io::Result<()> {
    let path = seen.path("file");
    let bytes: Vec<u8> = (0..700_000u32).map(|n| (n.wrapping_mul(7919) >> 3) as u8).collect();
    fs::write(&path, &bytes)?;
    let mut file = File::open(&path)?;
    let mut read = b"before".to_vec();
    seen.answer("all", file.read_to_end(&mut read));
    seen.value("the same", read[6..] == bytes[..]);
    seen.answer("nothing more", file.read_to_end(&mut read));
    file.seek(SeekFrom::Start(699_990))?;
    seen.answer("the rest", file.read_to_end(&mut read));
    file.rewind()?;
    let mut text = "before".to_owned();
    seen.answer("no text", file.read_to_string(&mut text));
    seen.value("as before", text);
    let mut streamed = 0;
    let answer = io::copy(&mut File::open(&path)?, &mut io::sink()).inspect(|count| streamed += count);
    seen.answer("copied", answer);
    fs::write(&path, "one\ntwo\nthree")?;
    seen.answer("lines", BufReader::new(File::open(&path)?).lines().collect::<io::Result<Vec<_>>>());
    Ok(())
}

fn at_a_place(seen: &mut Record) -> io::Result<()> {
    let file = File::create_new(seen.path("file"))?;
    seen.answer("write", file.write_at(b"hello", 10));
    seen.answer("write all", file.write_all_at(b"x", 0));
    let mut bytes = [9; 8];
    seen.answer("read", file.read_at(&mut bytes, 8));
    seen.value("bytes", bytes);
    seen.answer("read beyond", file.read_at(&mut bytes, 100));
    seen.answer("read exactly", file.read_exact_at(&mut bytes[..5], 10));
    seen.value("bytes", bytes);
    seen.answer("too much", file.read_exact_at(&mut bytes, 10));
    seen.answer("no such place", file.read_at(&mut bytes, u64::MAX));
    seen.answer("nor to write", file.write_at(&bytes, u64::MAX));
    seen.answer("the cursor", (&file).stream_position());
    Ok(())
}

fn clones_share_the_cursor(seen: &mut Record) -> io::Result<()> {
    let mut file = File::create_new(seen.path("file"))?;
    let mut clone = file.try_clone()?;
    file.write_all(b"abcdef")?;
    seen.answer("at", clone.stream_position());
    clone.rewind()?;
    let mut bytes = [0; 3];
    file.read_exact(&mut bytes)?;
    seen.value("first", bytes);
    drop(file);
    clone.read_exact(&mut bytes)?;
    seen.value("second", bytes);
    Ok(())
}

fn what_is_known_of_a_file(seen: &mut Record) -> io::Result<()> {
    let path = seen.path("file");
    let file = File::create(&path)?;
    seen.answer("length", file.set_len(12));
    seen.answer("sync", file.sync_all());
    seen.answer("sync data", file.sync_data());
    let metadata = file.metadata()?;
    seen.value("length", (metadata.len(), metadata.is_file(), metadata.permissions().readonly()));
    seen.answer("permissions", file.set_permissions(fs::Permissions::from_mode(0o640)));
    seen.answer("mode", fs::metadata(&path).map(|metadata| metadata.mode()));
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    seen.answer("modified", file.set_modified(time));
    seen.answer("modified", file.metadata().and_then(|metadata| metadata.modified()));
    let times = fs::FileTimes::new().set_accessed(time + Duration::from_secs(5));
    seen.answer("times", file.set_times(times));
    seen.answer("accessed", file.metadata().and_then(|metadata| metadata.accessed()));
    seen.answer("what cannot be written", File::open(&path)?.set_len(3));
    Ok(())
}

fn locks(seen: &mut Record) -> io::Result<()> {
    let path = seen.path("file");
    let (first, second) = (File::create(&path)?, File::open(&path)?);
    let said = |answer: Result<(), TryLockError>| answer.map_err(|error| error.to_string());
    seen.answer("lock", first.lock());
    seen.value("try", said(second.try_lock()));
    seen.value("try shared", said(second.try_lock_shared()));
    seen.answer("unlock", first.unlock());
    seen.answer("shared", first.lock_shared());
    seen.value("try shared", said(second.try_lock_shared()));
    seen.value("try", said(second.try_lock()));
    drop(first);
    seen.value("try", said(second.try_lock()));
    seen.answer("unlock twice", second.unlock().and_then(|()| second.unlock()));
    Ok(())
}

fn what_is_no_file(seen: &mut Record) -> io::Result<()> {
    let folder = seen.folder().to_owned();
    let mut folder = File::open(folder)?;
    seen.answer("read a folder", folder.read(&mut [0; 4]));
    seen.answer("read all of it", folder.read_to_end(&mut Vec::new()));
    seen.answer("write to it", folder.write(b"x"));
    seen.value("it is", folder.metadata()?.is_dir());
    let (ours, _theirs) = std::os::unix::net::UnixStream::pair()?;
    let mut socket = File::from(std::os::fd::OwnedFd::from(ours));
    seen.answer("seek a socket", socket.seek(SeekFrom::Start(1)));
    seen.answer("write to it", socket.write(b"hello"));
    seen.answer("read at a place", socket.read_at(&mut [0; 4], 0));
    seen.answer("cut it", socket.set_len(1));
    seen.value("it is", socket.metadata()?.file_type().is_socket());
    Ok(())
}

fn devices(seen: &mut Record) -> io::Result<()> {
    let mut null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    seen.answer("read", null.read(&mut [0; 4]));
    seen.answer("write", null.write(b"hello"));
    seen.answer("seek", null.seek(SeekFrom::Start(9)));
    let mut zero = File::open("/dev/zero")?;
    let mut bytes = [7; 4];
    seen.answer("read", zero.read(&mut bytes));
    seen.value("bytes", bytes);
    let mut full = OpenOptions::new().write(true).open("/dev/full")?;
    seen.answer("write", full.write(b"hello"));
    let (reader, mut writer) = io::pipe()?;
    let mut pipe = File::from(std::os::fd::OwnedFd::from(reader));
    writer.write_all(b"through")?;
    seen.answer("pipe", pipe.read(&mut bytes));
    drop(writer);
    let mut rest = String::new();
    seen.answer("pipe", pipe.read_to_string(&mut rest));
    seen.value("rest", rest);
    seen.answer("seek", pipe.stream_position());
    Ok(())
}

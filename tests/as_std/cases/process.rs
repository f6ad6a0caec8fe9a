//! Child processes.

use super::super::fs::File;
use super::super::os::unix::process::{CommandExt, ExitStatusExt};
use super::super::process::{ChildStdin, ChildStdout, Command, Output, Stdio};
use crate::record::{Case, Record};
use std::io::{self, BufRead, BufReader, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::OwnedFd;

pub(crate) const CASES: &[Case] = &[
    ("how children end", how_children_end),
    ("what children write", what_children_write),
    ("what children read", what_children_read),
    ("what cannot be started", what_cannot_be_started),
    ("the look of a command", the_look_of_a_command),
    ("what a child is given", what_a_child_is_given),
    ("pipes between children", pipes_between_children),
    ("pipes as descriptors", pipes_as_descriptors),
];

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

fn how_children_end(seen: &mut Record) -> io::Result<()> {
    for script in ["exit 0", "exit 7", "kill -9 $$", "kill -TERM $$"] {
        let status = shell(script).status()?;
        seen.value(script, (status, status.code(), status.signal(), status.success()));
    }
    let mut child = shell("read line; exit 3").stdin(Stdio::piped()).spawn()?;
    seen.value("child", &child);
    seen.answer("runs", child.try_wait());
    seen.value("its number", child.id() > 1);
    seen.answer("ends without input", child.wait());
    seen.value("the pipe is gone", child.stdin.is_none());
    seen.answer("again", child.wait());
    seen.answer("has ended", child.try_wait());
    seen.answer("kill", child.kill());
    let mut killed = shell("read line").stdin(Stdio::piped()).spawn()?;
    seen.answer("kill", killed.kill());
    seen.answer("killed", killed.wait());
    Ok(())
}

fn show(seen: &mut Record, what: &str, output: io::Result<Output>) {
    let texts =
        |output: &Output| [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    let said = output.map(|output| (output.status, texts(&output)));
    seen.answer(what, said);
}

fn what_children_write(seen: &mut Record) -> io::Result<()> {
    show(seen, "both", shell("echo out; echo err >&2; exit 2").output());
    show(seen, "no input", shell("cat; echo end").output());
    show(seen, "only errors", shell("echo err >&2; echo out").stdout(Stdio::null()).output());
    let much = shell("head -c 300000 /dev/zero; head -c 400000 /dev/zero >&2").output()?;
    seen.value("much of both", (much.stdout.len(), much.stderr.len(), much.status));
    let mut command = shell("echo out; echo err >&2");
    show(seen, "twice", command.output());
    show(seen, "twice", command.output());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    show(seen, "of a child", child.wait_with_output());
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    show(seen, "of its errors", child.wait_with_output());
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    show(seen, "of nothing", child.wait_with_output());
    let mut child = shell("echo one; echo two").stdout(Stdio::piped()).spawn()?;
    let lines: io::Result<Vec<_>> = BufReader::new(child.stdout.take().unwrap()).lines().collect();
    seen.answer("lines", lines);
    seen.answer("end", child.wait());
    let mut child = shell("printf abcdef").stdout(Stdio::piped()).spawn()?;
    child.wait()?;
    let (mut first, mut second) = ([0; 2], [0; 10]);
    let mut slices = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
    seen.answer("several buffers", child.stdout.as_mut().unwrap().read_vectored(&mut slices));
    seen.value("bytes", (first, second));
    Ok(())
}

fn what_children_read(seen: &mut Record) -> io::Result<()> {
    let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    seen.answer("write", child.stdin.as_ref().unwrap().write(b"one "));
    let slices = [IoSlice::new(b"two "), IoSlice::new(b"three")];
    seen.answer("several", child.stdin.as_mut().unwrap().write_vectored(&slices));
    seen.answer("flush", child.stdin.as_mut().unwrap().flush());
    show(seen, "all", child.wait_with_output());
    let mut deaf = shell("exec <&-; echo; sleep 10").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    deaf.stdout.as_mut().unwrap().read_exact(&mut [0])?;
    seen.answer("to nobody", deaf.stdin.as_mut().unwrap().write(b"x"));
    deaf.kill()?;
    deaf.wait()?;
    Ok(())
}

fn what_cannot_be_started(seen: &mut Record) -> io::Result<()> {
    let mut none = Command::new("/no/such/program");
    seen.answer("spawn", none.spawn());
    seen.answer("status", none.status());
    seen.answer("output", none.output().map(|_| ()));
    seen.answer("a folder", Command::new("/").status());
    seen.answer("no folder", Command::new("true").current_dir("/no/such/folder").status());
    seen.answer("a zero in an argument", Command::new("echo").arg("a\0b").status());
    seen.answer("and then", Command::new("true").status());
    Ok(())
}

fn the_look_of_a_command(seen: &mut Record) -> io::Result<()> {
    let mut command = Command::new("program");
    command.arg("one").args(["two", "three four"]).env("A", "b").env_remove("C").current_dir("/tmp");
    seen.value("command", &command);
    seen.value("program", command.get_program());
    seen.value("arguments", command.get_args().collect::<Vec<_>>());
    seen.value("environment", command.get_envs().collect::<Vec<_>>());
    seen.value("folder", command.get_current_dir());
    Ok(())
}

fn what_a_child_is_given(seen: &mut Record) -> io::Result<()> {
    let path = seen.path("file");
    std::fs::write(&path, "of a file\n")?;
    show(seen, "a file to read", Command::new("cat").stdin(File::open(&path)?).output());
    seen.answer("a file to write", shell("echo written").stdout(File::create(&path)?).status());
    seen.answer("what was written", std::fs::read_to_string(&path));
    let folder = seen.folder().to_owned();
    show(seen, "a folder", Command::new("pwd").current_dir(folder).output());
    show(seen, "variables", shell("echo $A $B").env("A", "x").envs([("B", "y")]).output());
    show(seen, "no variables", Command::new("/usr/bin/env").env_clear().env("ONLY", "this").output());
    show(seen, "a name", shell("echo $0").arg0("another").output());
    let mut group = shell("sleep 10").process_group(0).spawn()?;
    // SAFETY: asks for a child that has not been waited for.
    seen.value("a group of its own", unsafe { libc::getpgid(group.id() as i32) } == group.id() as i32);
    group.kill()?;
    group.wait()?;
    let mut refused = shell("true");
    // SAFETY: says no, and nothing else.
    unsafe { refused.pre_exec(|| Err(io::Error::from_raw_os_error(libc::ENOTTY))) };
    seen.answer("refused before exec", refused.spawn());
    Ok(())
}

fn pipes_between_children(seen: &mut Record) -> io::Result<()> {
    let mut first = shell("echo through; echo and >&2").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    show(seen, "output", Command::new("cat").stdin(first.stdout.take().unwrap()).output());
    show(seen, "errors", Command::new("cat").stdin(first.stderr.take().unwrap()).output());
    seen.answer("first", first.wait());
    let mut last = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    seen.answer("first", shell("echo to the last").stdout(last.stdin.take().unwrap()).status());
    show(seen, "last", last.wait_with_output());
    Ok(())
}

fn pipes_as_descriptors(seen: &mut Record) -> io::Result<()> {
    let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let input = OwnedFd::from(child.stdin.take().unwrap());
    let output = OwnedFd::from(child.stdout.take().unwrap());
    let (mut input, mut output) = (ChildStdin::from(input), ChildStdout::from(output));
    seen.value("pipes", (&input, &output));
    seen.answer("write", input.write(b"hello"));
    let mut bytes = [0; 5];
    seen.answer("read", output.read_exact(&mut bytes));
    child.stdin = Some(input);
    child.stdout = Some(output);
    show(seen, "the rest", child.wait_with_output());
    Ok(())
}

//! Reads the documentation that comes with the toolchain (rustup's rust-docs): which items std has, and since when.
//!
//! Knows the markup of rustdoc, and nothing of what we have.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// With this set, what the checks need must be there: nothing is skipped.
const MUST_RUN: &str = "DORMOUSE_MUST_RUN";

/// What every type implements by itself.
const AUTO: &[&str] = &["Send", "Sync", "Unpin", "UnwindSafe", "RefUnwindSafe"];

/// Traits that no stable program can name.
const UNNAMEABLE: &[&str] = &["Freeze", "UnsafeUnpin", "StructuralPartialEq"];

/// Whether programs may use an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// Since that version.
    Stable(String),
    /// For every type whose parts allow it.
    Auto,
    /// On nightly only.
    Nightly,
}

/// An item of a page.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// The name of a method, or `Trait for Type`.
    pub(crate) name: String,
    /// Its declaration.
    pub(crate) signature: String,
    /// Whether programs may use it.
    pub(crate) status: Status,
    /// Whether programs should not use it any more.
    pub(crate) deprecated: bool,
}

impl Item {
    pub(crate) fn is_implementation(&self) -> bool {
        self.name.contains(" for ")
    }
}

/// The folder of std's pages; `None` where it is not installed and need not be.
pub(crate) fn folder() -> Option<PathBuf> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let answer = Command::new(rustc).args(["--print", "sysroot"]).output().expect("rustc names its sysroot");
    let sysroot = String::from_utf8(answer.stdout).expect("a sysroot in UTF-8");
    let pages = Path::new(sysroot.trim()).join("share/doc/rust/html/std");
    if pages.is_dir() {
        return Some(pages);
    }
    let missing = format!("no documentation of std in {}: run `rustup component add rust-docs`", pages.display());
    assert!(std::env::var_os(MUST_RUN).is_none_or(|value| value == "0"), "{missing}");
    eprintln!("SKIPPED, {missing}");
    None
}

/// The text of a page.
#[track_caller]
pub(crate) fn page(folder: &Path, page: &str) -> String {
    let path = folder.join(page);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The version of std that a page is of.
pub(crate) fn version(page: &str) -> String {
    let version = page.split_once("data-rustdoc-version=\"").map(|(_, version)| version);
    version.and_then(|version| version.split([' ', '"']).next()).expect("a page names its version").to_owned()
}

/// The methods and implementations that a page documents, except what holds for all types and what is for Windows.
pub(crate) fn items(page: &str) -> Vec<Item> {
    page.split("<section id=\"").skip(1).filter_map(item).filter(|item| !is_for_windows(&item.signature)).collect()
}

fn item(section: &str) -> Option<Item> {
    let (id, rest) = section.split_once('"')?;
    let (before, rest) = rest.split_once("class=\"code-header\">")?;
    let end = rest.find("</h4>").into_iter().chain(rest.find("</h3>")).min()?;
    let (header, after) = rest.split_at(end);
    let signature = text(header);
    let since = before.split_once("class=\"since\"").map(|(_, since)| first_word(since));
    let notice = after.find("</section>").map_or("", |at| &after[at + "</section>".len()..]);
    let stab = |class: &str| notice.starts_with(&format!("<span class=\"item-info\"><div class=\"stab {class}\">"));
    let deprecated = stab("deprecated");
    if id.starts_with("tymethod.") || id.starts_with("method.") && signature.starts_with("pub ") {
        let name = id.split_once('.')?.1.to_owned();
        let status = if stab("unstable") { Status::Nightly } else { Status::Stable(since.unwrap_or_default()) };
        return Some(Item { name, signature, status, deprecated });
    }
    let holds_for_all = id.ends_with("-for-T") || id.ends_with("-for-I");
    let name = implementation(&signature).filter(|_| id.starts_with("impl-") && !holds_for_all)?;
    let status = match since {
        _ if AUTO.contains(&name.split(' ').next()?) => Status::Auto,
        Some(since) => Status::Stable(since),
        None => Status::Nightly,
    };
    Some(Item { name, signature, status, deprecated })
}

/// `Trait for Type` of an implementation, without lifetimes; none for negative ones and for what programs cannot name.
fn implementation(signature: &str) -> Option<String> {
    let name = signature.strip_prefix("impl")?;
    let name = if name.starts_with('<') { &name[closing(name)? + 1..] } else { name };
    let name = without_lifetimes(name.trim());
    let (of, _) = name.split_once(" for ")?;
    (!UNNAMEABLE.contains(&of) && !of.starts_with('!')).then_some(name)
}

/// The place of the bracket that closes the one at the start.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    text.char_indices().find_map(|(at, letter)| {
        depth += i32::from(letter == '<') - i32::from(letter == '>');
        (depth == 0).then_some(at)
    })
}

/// The text without `'a` and the like, and without brackets that only held those.
pub(crate) fn without_lifetimes(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\'') {
        kept.push_str(before);
        rest = after.trim_start_matches(|letter: char| letter == '_' || letter.is_ascii_alphanumeric());
        rest = rest.strip_prefix(' ').unwrap_or(rest);
    }
    (kept + rest).replace("<>", "")
}

fn is_for_windows(signature: &str) -> bool {
    ["AsSocket", "RawSocket", "OwnedSocket", "AsHandle", "RawHandle", "OwnedHandle"]
        .iter()
        .any(|name| signature.contains(name))
}

/// An entry of the page of a module.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// The name of a type, trait or function.
    pub(crate) name: String,
    /// The file of its page, in the folder of the module's.
    pub(crate) file: String,
    /// Whether it is for nightly only.
    pub(crate) nightly: bool,
}

/// The types, traits and functions that the page of a module lists.
pub(crate) fn entries(page: &str) -> Vec<Entry> {
    let entry = |entry: &str| {
        let (link, _) = entry.split_once("</dt>")?;
        let (file, rest) = link.split_once("href=\"")?.1.split_once('"')?;
        let (_, name) = rest.split_once("title=\"")?.1.split_once('"')?.0.rsplit_once("::")?;
        Some(Entry { name: name.to_owned(), file: file.to_owned(), nightly: link.contains("stab unstable") })
    };
    page.split("<dt>").skip(1).filter_map(entry).collect()
}

fn first_word(after_class: &str) -> String {
    let inner = after_class.split_once('>').map_or("", |(_, inner)| inner);
    inner.split(['<', ' ', '\u{a0}']).next().unwrap_or_default().to_owned()
}

/// The text of some markup, on one line.
fn text(markup: &str) -> String {
    let mut plain = String::new();
    let mut pieces = markup.split('<');
    plain.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        plain.push_str(piece.split_once('>').map_or("", |(_, text)| text));
    }
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&nbsp;", " "), ("&amp;", "&")];
    let plain = entities.iter().fold(plain, |plain, (entity, letter)| plain.replace(entity, letter));
    let line = plain.replace('ⓘ', "").replace("where", " where").split_whitespace().collect::<Vec<_>>().join(" ");
    line.replace("( ", "(").replace(", )", ")").trim_end_matches(',').to_owned()
}

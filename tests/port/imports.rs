//! What the two versions differ in: the imports that the README shows, and nothing else.

const STD: &str = include_str!("../../examples/port/std.rs");
const DORMOUSE: &str = include_str!("../../examples/port/dormouse.rs");
const README: &str = include_str!("../../README.md");

/// Lines that differ: the number of the first, each in the one version, and each in the other.
fn differences() -> (usize, Vec<&'static str>, Vec<&'static str>) {
    assert_eq!(STD.lines().count(), DORMOUSE.lines().count());
    let lines = STD.lines().zip(DORMOUSE.lines());
    let different: Vec<_> = (1..).zip(lines).filter(|(_, (ours, theirs))| ours != theirs).collect();
    let first = different[0].0;
    let numbers: Vec<_> = different.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (first..first + numbers.len()).collect::<Vec<_>>(), "these lines are not one paragraph");
    let (removed, added) = different.into_iter().map(|(_, pair)| pair).unzip();
    (first, removed, added)
}

#[test]
fn the_versions_differ_in_imports_only() {
    let (_, removed, added) = differences();
    assert!(removed.iter().all(|line| line.starts_with("use std::") && line.ends_with(';')), "{removed:#?}");
    let ported: Vec<_> = removed.iter().map(|line| line.replacen("std::", "dormouse::", 1)).collect();
    assert_eq!(added, ported);
}

#[test]
fn the_readme_shows_the_whole_difference() {
    let (first, removed, added) = differences();
    let mut diff = String::from("--- examples/port/std.rs\n+++ examples/port/dormouse.rs\n");
    diff += &format!("@@ -{first},{count} +{first},{count} @@\n", count = removed.len());
    removed.iter().for_each(|line| diff += &format!("-{line}\n"));
    added.iter().for_each(|line| diff += &format!("+{line}\n"));
    let (_, shown) = README.split_once("```diff\n").expect("the README has a diff");
    let (shown, _) = shown.split_once("```\n").unwrap();
    assert_eq!(shown, diff);
}

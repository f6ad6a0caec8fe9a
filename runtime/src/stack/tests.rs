//! Tests of the whole room. What ends in SIGSEGV, fills the table of mappings or locks memory runs in a child: this test
//! binary again, with one test.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};
use std::ptr;

use corosensei::{Coroutine, CoroutineResult, Yielder};

use super::pool::{Counters, Pool, PoolConfig};
use super::slab::GuardKind;
use super::*;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const SIGSEGV: i32 = 11;
const CHILD: &str = "DORMOUSE_STACK_TEST_CHILD";

fn config() -> PoolConfig {
    PoolConfig { stack_size: 64 * KIB, cache: 0, ..PoolConfig::default() }
}

fn pool(cache: usize) -> Pool {
    Pool::new(PoolConfig { cache, ..config() }).unwrap()
}

fn acquire_many(pool: &mut Pool, count: usize) -> Vec<Stack> {
    (0..count).map(|_| pool.acquire().unwrap()).collect()
}

/// With room reserved, since at the limit of mappings the allocator may not get any either.
fn acquire_until_error(pool: &mut Pool) -> (Vec<Stack>, io::Error) {
    let mut stacks = Vec::with_capacity(100_000);
    loop {
        match pool.acquire() {
            Ok(stack) => stacks.push(stack),
            Err(error) => return (stacks, error),
        }
        assert!(stacks.len() < 100_000, "no limit in sight");
    }
}

fn release_all(pool: &mut Pool, stacks: Vec<Stack>) {
    stacks.into_iter().for_each(|stack| pool.release(stack));
}

/// Writes one byte; a SIGSEGV if it is guarded.
fn write(address: usize) {
    let byte = ptr::with_exposed_provenance_mut::<u8>(address);
    // SAFETY: tests write only to stacks they own (and, in a child, to die of it).
    unsafe { byte.write_volatile(1) };
}

fn write_all(stack: &Stack, guard_size: usize) {
    (stack.limit() + guard_size..stack.top()).step_by(mmap::page_size()).for_each(write);
}

/// In the parent: the outcome of the test `name`, run by itself in a child. In that child: `None`.
fn child_outcome(name: &str) -> Option<Output> {
    child_outcome_limited(name, "unlimited")
}

/// [`child_outcome`], with at most `kilobytes` of address space.
fn child_outcome_limited(name: &str, kilobytes: &str) -> Option<Output> {
    if std::env::var_os(CHILD).is_some() {
        return None;
    }
    let module = module_path!().split_once("::").unwrap().1;
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -v {kilobytes}; ulimit -c 0; exec \"$0\" \"$@\"")]);
    command.arg(std::env::current_exe().unwrap()).args([
        "--exact",
        &format!("{module}::{name}"),
        "--nocapture",
        "--test-threads=1",
    ]);
    Some(command.env(CHILD, "1").output().unwrap())
}

fn assert_passed(outcome: &Output) {
    assert!(outcome.status.success(), "{outcome:?}");
    assert!(String::from_utf8_lossy(&outcome.stdout).contains("1 passed"), "{outcome:?}");
}

/// That the child said `reached` and died of SIGSEGV at the very next step.
fn assert_overflow_stopped(outcome: &Output) {
    let said = String::from_utf8_lossy(&outcome.stderr);
    assert!(said.contains("reached") && !said.contains("survived"), "{outcome:?}");
    assert_eq!(outcome.status.signal(), Some(SIGSEGV), "{outcome:?}");
}

fn overflow(stack: &Stack, guard_size: usize) {
    write(stack.base() - 8);
    write(stack.limit() + guard_size);
    eprintln!("reached");
    write(stack.limit() + guard_size - 1);
    eprintln!("survived");
}

/// Address ranges and permissions of all mappings.
fn mappings() -> Vec<(Range<usize>, String)> {
    let parse = |line: &str| {
        let (range, rest) = line.split_once(' ').unwrap();
        let (start, end) = range.split_once('-').unwrap();
        let number = |text| usize::from_str_radix(text, 16).unwrap();
        (number(start)..number(end), rest[..4].to_owned())
    };
    fs::read_to_string("/proc/self/maps").unwrap().lines().map(parse).collect()
}

fn permissions(address: usize) -> Option<String> {
    mappings().into_iter().find(|(range, _)| range.contains(&address)).map(|(_, permissions)| permissions)
}

fn guards_cost_no_mapping() -> bool {
    let mut pool = pool(0);
    let stack = pool.acquire().unwrap();
    permissions(stack.limit()).unwrap() == "rw-p"
}

#[test]
fn a_handle_is_one_word() {
    assert_eq!(size_of::<Stack>(), 8);
    assert_eq!(size_of::<Option<Stack>>(), 8);
    assert_eq!(size_of::<Option<Extent>>(), 8);
}

#[test]
fn the_word_tells_all_addresses() {
    let sizes = (14..=27).map(|log| 1_usize << log);
    for (size, place) in sizes.flat_map(|size| (1..100).map(move |place| (size, place))) {
        let limit = place * size;
        let extent = Extent::of_place(limit, size);
        assert_eq!((extent.limit(), extent.size(), extent.top()), (limit, size, limit + size));
        assert!(extent.base() <= extent.top() && extent.base() > extent.top() - COLOUR_SPAN);
        assert!(extent.base().is_multiple_of(COLOUR_STEP));
        assert!(extent.covers(limit) && extent.covers(limit + size - 1));
        assert!(!extent.covers(limit - 1) && !extent.covers(limit + size));
        assert!(extent.guard_covers(limit, 4096) && extent.guard_covers(limit + 4095, 4096));
        assert!(!extent.guard_covers(limit - 1, 4096) && !extent.guard_covers(limit + 4096, 4096));
    }
}

#[test]
fn sizes_are_rounded_up_to_powers_of_two() {
    assert_eq!(size_for(0).unwrap(), MIN_SIZE.max(4 * mmap::page_size()));
    assert_eq!(size_for(64 * KIB).unwrap(), 64 * KIB);
    assert_eq!(size_for(64 * KIB + 1).unwrap(), 128 * KIB);
    assert_eq!(size_for(MAX_SIZE).unwrap(), MAX_SIZE);
    assert_eq!(size_for(MAX_SIZE + 1).unwrap_err().kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn guards_are_whole_pages_and_less_than_half() {
    let with_guard = |guard_size| Pool::new(PoolConfig { guard_size, ..config() });
    let page = mmap::page_size();
    assert_eq!(with_guard(0).unwrap().guard_size(), page);
    assert_eq!(with_guard(page + 1).unwrap().guard_size(), 2 * page);
    for too_large in [32 * KIB, usize::MAX] {
        assert_eq!(with_guard(too_large).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}

#[test]
fn colours_spread_evenly_and_stay_with_the_place() {
    let mut pool = pool(0);
    let stacks = acquire_many(&mut pool, 16 + 32);
    let colour = |stack: &Stack| stack.top() - stack.base();
    let second_slab: HashSet<usize> = stacks[16..].iter().map(colour).collect();
    assert_eq!(second_slab.len(), COLOUR_SPAN / COLOUR_STEP);
    let before: HashSet<Extent> = stacks.iter().map(|stack| stack.extent()).collect();
    release_all(&mut pool, stacks);
    let hot = acquire_many(&mut pool, 16 + 32);
    assert_eq!(hot.iter().map(|stack| stack.extent()).collect::<HashSet<_>>(), before);
}

#[test]
fn the_stack_released_last_is_the_next() {
    let mut pool = pool(8);
    let [first, second] = [pool.acquire().unwrap(), pool.acquire().unwrap()];
    let [first_extent, second_extent] = [first.extent(), second.extent()];
    pool.release(second);
    pool.release(first);
    assert_eq!(pool.acquire().unwrap().extent(), first_extent);
    assert_eq!(pool.acquire().unwrap().extent(), second_extent);
}

#[test]
fn giving_back_is_bounded_frees_memory_and_takes_the_oldest() {
    let mut pool = pool(2);
    let stacks = acquire_many(&mut pool, 5);
    stacks.iter().for_each(|stack| write_all(stack, pool.guard_size()));
    let extents: Vec<Extent> = stacks.iter().map(|stack| stack.extent()).collect();
    release_all(&mut pool, stacks);
    let used = 64 * KIB - pool.guard_size();
    let high_water = || extents.iter().map(|extent| extent.high_water().unwrap()).collect::<Vec<_>>();
    assert_eq!(high_water(), [used; 5]);
    assert!(pool.has_surplus());
    assert_eq!(pool.give_back(1), 1);
    assert_eq!(high_water(), [0, used, used, used, used]);
    assert_eq!(pool.give_back(10), 2);
    assert_eq!(high_water(), [0, 0, 0, used, used]);
    assert!(!pool.has_surplus());
    assert_eq!(pool.give_back(10), 0);
    assert_eq!(pool.counters(), Counters { mapped_bytes: MIB, out: 0, hot: 2, cold: 14 });
}

#[test]
fn more_than_one_batch_is_given_back() {
    let mut pool = pool(0);
    let mut stacks = acquire_many(&mut pool, 400);
    stacks.iter().for_each(|stack| write(stack.base() - 8));
    let kept: Vec<Stack> = (0..200).map(|index| stacks.swap_remove(index)).collect();
    let extents: Vec<Extent> = stacks.iter().map(|stack| stack.extent()).collect();
    release_all(&mut pool, stacks);
    assert_eq!(pool.give_back(usize::MAX), 200);
    assert!(extents.iter().all(|extent| extent.high_water().unwrap() == 0));
    assert!(kept.iter().all(|stack| stack.high_water().unwrap() == mmap::page_size()));
    release_all(&mut pool, kept);
}

#[test]
fn a_cold_place_is_taken_before_a_fresh_one_and_from_the_fullest_slab() {
    let mut pool = pool(0);
    let mut first_slab = acquire_many(&mut pool, 16);
    let mut second_slab = acquire_many(&mut pool, 32);
    let third_slab = acquire_many(&mut pool, 1);
    let (small, large) = (first_slab.remove(3), second_slab.remove(20));
    let (small_extent, large_extent) = (small.extent(), large.extent());
    pool.release(small);
    pool.release(large);
    assert_eq!(pool.give_back(2), 2);
    let [fullest, emptier] = [pool.acquire().unwrap(), pool.acquire().unwrap()];
    assert_eq!(fullest.extent(), large_extent, "31 out of 32, before 15 out of 16");
    assert_eq!(emptier.extent(), small_extent, "guarded before, unlike 63 of the third slab");
    for stacks in [first_slab, second_slab, third_slab, vec![fullest, emptier]] {
        release_all(&mut pool, stacks);
    }
}

#[test]
fn slabs_without_stacks_are_unmapped_but_one() {
    if let Some(outcome) = child_outcome("slabs_without_stacks_are_unmapped_but_one") {
        return assert_passed(&outcome);
    }
    let mut pool = pool(0);
    let stacks = acquire_many(&mut pool, 16 + 32 + 64);
    let extents: Vec<Extent> = stacks.iter().map(|stack| stack.extent()).collect();
    assert_eq!(pool.counters(), Counters { mapped_bytes: 7 * MIB, out: 112, hot: 0, cold: 0 });
    release_all(&mut pool, stacks);
    assert_eq!(pool.give_back(111), 111);
    assert_eq!(pool.counters(), Counters { mapped_bytes: 6 * MIB, out: 0, hot: 1, cold: 95 });
    pool.give_back(1);
    assert_eq!(pool.counters(), Counters { mapped_bytes: 4 * MIB, out: 0, hot: 0, cold: 64 });
    let mapped = extents.iter().filter(|extent| permissions(extent.base() - 1).is_some()).count();
    assert_eq!(mapped, 64);
    drop(pool);
    assert!(extents.iter().all(|extent| extent.high_water().is_err()), "nothing stays mapped");
}

#[test]
fn a_slab_with_a_stack_out_outlives_the_pool() {
    if let Some(outcome) = child_outcome("a_slab_with_a_stack_out_outlives_the_pool") {
        return assert_passed(&outcome);
    }
    let mut pool = pool(8);
    let mut stacks = acquire_many(&mut pool, 16 + 32);
    let leaked = stacks.remove(20);
    let gone = stacks[0].extent();
    release_all(&mut pool, stacks);
    drop(pool);
    write(leaked.base() - 8);
    assert_eq!(leaked.high_water().unwrap(), mmap::page_size());
    assert_eq!(permissions(gone.limit()), None);
}

#[test]
fn a_guard_stops_an_overflow() {
    if let Some(outcome) = child_outcome("a_guard_stops_an_overflow") {
        return assert_overflow_stopped(&outcome);
    }
    let mut pool = Pool::new(PoolConfig { guard_size: 3 * mmap::page_size(), ..config() }).unwrap();
    let stacks = acquire_many(&mut pool, 3);
    overflow(&stacks[1], pool.guard_size());
}

#[test]
fn a_guard_by_mprotect_stops_an_overflow() {
    if let Some(outcome) = child_outcome("a_guard_by_mprotect_stops_an_overflow") {
        return assert_overflow_stopped(&outcome);
    }
    let mut pool = Pool::new(PoolConfig { guard_kind: GuardKind::Mprotect, ..config() }).unwrap();
    let stacks = acquire_many(&mut pool, 3);
    assert_eq!(permissions(stacks[1].limit()).unwrap(), "---p");
    overflow(&stacks[1], pool.guard_size());
}

fn overflow_after_giving_back(guard_kind: GuardKind) {
    let mut pool = Pool::new(PoolConfig { guard_kind, ..config() }).unwrap();
    let stacks = acquire_many(&mut pool, 3);
    stacks.iter().for_each(|stack| write(stack.base() - 8));
    release_all(&mut pool, stacks);
    assert_eq!(pool.give_back(3), 3);
    let stacks = acquire_many(&mut pool, 3);
    overflow(&stacks[1], pool.guard_size());
}

#[test]
fn a_guard_outlives_giving_back() {
    match child_outcome("a_guard_outlives_giving_back") {
        Some(outcome) => assert_overflow_stopped(&outcome),
        None => overflow_after_giving_back(GuardKind::Auto),
    }
}

#[test]
fn a_guard_by_mprotect_outlives_giving_back() {
    match child_outcome("a_guard_by_mprotect_outlives_giving_back") {
        Some(outcome) => assert_overflow_stopped(&outcome),
        None => overflow_after_giving_back(GuardKind::Mprotect),
    }
}

#[test]
fn under_mlockall_guards_fall_back_to_mprotect() {
    if let Some(outcome) = child_outcome("under_mlockall_guards_fall_back_to_mprotect") {
        if outcome.status.success() {
            return eprintln!("skipped: mlockall is not permitted here");
        }
        return assert_overflow_stopped(&outcome);
    }
    let mut pool = pool(0);
    let before = pool.acquire().unwrap();
    if mmap::lock_all().is_err() {
        return;
    }
    let after = acquire_many(&mut pool, 20);
    assert!(after.iter().all(|stack| permissions(stack.limit()).unwrap() == "---p"));
    pool.release(before);
    assert_eq!(pool.give_back(1), 1, "locked memory is kept, which is no error");
    overflow(&after[1], pool.guard_size());
}

#[test]
fn forty_thousand_stacks_fit_under_the_default_map_count() {
    if let Some(outcome) = child_outcome("forty_thousand_stacks_fit_under_the_default_map_count") {
        return assert_passed(&outcome);
    }
    if !guards_cost_no_mapping() {
        return eprintln!("skipped: MADV_GUARD_INSTALL refused");
    }
    let mut pool = pool(0);
    let before = mappings().len();
    let stacks = acquire_many(&mut pool, 40_000);
    let limits: HashSet<usize> = stacks.iter().map(|stack| stack.limit()).collect();
    assert_eq!(limits.len(), 40_000);
    let more = mappings().len() - before;
    assert!(more < 100, "40,000 stacks took {more} mappings");
}

#[test]
fn at_the_limit_of_mappings_the_error_names_it() {
    if let Some(outcome) = child_outcome("at_the_limit_of_mappings_the_error_names_it") {
        return assert_passed(&outcome);
    }
    let limit = mmap::max_map_count().unwrap();
    if limit > 150_000 {
        return eprintln!("skipped: vm.max_map_count is {limit}, too many to fill");
    }
    let guard_kind = GuardKind::Mprotect;
    let mut pool = Pool::new(PoolConfig { stack_size: MIN_SIZE, guard_kind, ..config() }).unwrap();
    let (mut stacks, error) = acquire_until_error(&mut pool);
    let message = error.to_string();
    let more = (0..100).map_while(|_| mmap::map(mmap::page_size()).ok()).count();
    let another = Pool::new(config()).unwrap().acquire().map_err(|error| error.to_string());
    pool.release(stacks.pop().unwrap());
    stacks.push(pool.acquire().unwrap());
    assert!(stacks.len() > limit / 2 - 1_000 && stacks.len() <= limit / 2, "{}", stacks.len());
    drop(stacks);
    drop(pool);
    assert_eq!(error.kind(), io::ErrorKind::OutOfMemory);
    assert!(message.contains(&format!("vm.max_map_count = {limit}")), "{message}");
    assert!(message.contains(&format!("sysctl -w vm.max_map_count={}", 2 * limit)), "{message}");
    assert!(
        another.is_err_and(|message| message.contains("vm.max_map_count")),
        "after {more} more, no slab can be mapped"
    );
}

#[test]
fn without_address_space_the_error_says_so() {
    if let Some(outcome) = child_outcome_limited("without_address_space_the_error_says_so", "4000000") {
        return assert_passed(&outcome);
    }
    let mut pool = Pool::new(PoolConfig { stack_size: MIB, ..config() }).unwrap();
    let (stacks, error) = acquire_until_error(&mut pool);
    assert!(mmap::map(2 * MIB).is_err(), "slabs shrink until the last stack fits");
    assert!(stacks.len() > 3_000);
    assert_eq!(error.kind(), io::ErrorKind::OutOfMemory);
    assert!(error.to_string().contains("ulimit -v"), "{error}");
}

#[test]
fn stacks_of_every_size_are_aligned_and_usable() {
    let upset_alignment = mmap::map(mmap::page_size()).unwrap();
    for size in [MIN_SIZE, 64 * KIB, MIB, 8 * MIB, 64 * MIB, MAX_SIZE] {
        let mut pool = Pool::new(PoolConfig { stack_size: size, ..config() }).unwrap();
        let stacks = acquire_many(&mut pool, 2);
        assert!(stacks.iter().all(|stack| stack.limit().is_multiple_of(size) && stack.size() == pool.stack_size()));
        assert_eq!(stacks[0].high_water().unwrap(), 0);
        write(stacks[0].base() - 8);
        assert_eq!(stacks[0].high_water().unwrap(), mmap::page_size());
        write(stacks[0].limit() + pool.guard_size());
        assert_eq!(stacks[0].high_water().unwrap(), pool.stack_size() - pool.guard_size());
        assert_eq!(stacks[1].high_water().unwrap(), 0);
        release_all(&mut pool, stacks);
    }
    // SAFETY: nobody uses the page mapped above.
    unsafe { mmap::unmap(upset_alignment..upset_alignment + mmap::page_size()) }.unwrap();
}

/// A stack address near the stack pointer of the caller.
#[inline(never)]
fn stack_pointer() -> usize {
    let here = 0_u8;
    ptr::from_ref(std::hint::black_box(&here)).addr()
}

/// Uses `bytes` of stack, and returns.
#[inline(never)]
fn dive(bytes: usize) -> usize {
    let frame = std::hint::black_box([1_u8; KIB]);
    if bytes <= KIB { usize::from(frame[7]) } else { dive(bytes - KIB) + usize::from(frame[9]) }
}

#[test]
fn a_coroutine_runs_dives_is_trimmed_and_goes_on() {
    let mut pool = Pool::new(PoolConfig { stack_size: 256 * KIB, ..config() }).unwrap();
    let stack = pool.acquire().unwrap();
    let extent = stack.extent();
    let body = move |yielder: &Yielder<(), usize>, ()| {
        let local = std::hint::black_box([0x5A_u8; 100]);
        assert!(extent.covers(stack_pointer()));
        let shallow = extent.high_water().unwrap();
        dive(100 * KIB);
        assert!(extent.high_water().unwrap() >= shallow + 90 * KIB, "measured by the coroutine itself");
        yielder.suspend(stack_pointer());
        assert_eq!(std::hint::black_box(local), [0x5A; 100]);
        dive(100 * KIB);
        shallow
    };
    let mut coroutine: Coroutine<(), usize, usize, Stack> = Coroutine::with_stack(stack, body);
    let CoroutineResult::Yield(sp) = coroutine.resume(()) else { panic!("it suspends once") };
    let deep = extent.high_water().unwrap();
    // SAFETY: the coroutine is suspended, at `sp`.
    assert_eq!(unsafe { trim_each([(extent, sp)]) }, 1);
    let trimmed = extent.high_water().unwrap();
    let CoroutineResult::Return(shallow) = coroutine.resume(()) else { panic!("it returns") };
    assert!(
        deep > 100 * KIB && trimmed <= shallow.max(extent.top() - sp + 2 * mmap::page_size()),
        "{deep} {trimmed} {shallow}"
    );
    assert!(extent.high_water().unwrap() > 100 * KIB);
    pool.release(coroutine.into_stack());
}

#[test]
fn trim_stops_at_the_page_needed_and_at_the_limit() {
    let mut pool = pool(0);
    let stack = pool.acquire().unwrap();
    let page = mmap::page_size();
    let bottom = stack.limit() + pool.guard_size();
    for (sp, left) in [
        (stack.top() - 8, page),
        (stack.top() - page + TRIM_MARGIN, page),
        (stack.top() - page + TRIM_MARGIN - 1, 2 * page),
        (bottom + TRIM_MARGIN, 64 * KIB - pool.guard_size()),
    ] {
        write_all(&stack, pool.guard_size());
        // SAFETY: no coroutine is on the stack at all.
        unsafe { trim_each([(stack.extent(), sp)]) };
        assert_eq!(stack.high_water().unwrap(), left, "sp at top - {:#x}", stack.top() - sp);
    }
    assert_eq!(stack.below(stack.limit() + 8), stack.limit()..stack.limit());
    pool.release(stack);
}

/// Random acquires, releases and give-backs against the obvious rules.
#[test]
fn no_stack_is_handed_out_twice() {
    let mut pool = pool(20);
    let mut out: Vec<Stack> = Vec::new();
    let mut seed = 1_u64;
    for step in 0..100_000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let random = (seed >> 33) as usize;
        let grows = step / 5_000 % 2 == 0;
        match random % 8 {
            0 => _ = pool.give_back(random / 8 % 50),
            action if (action < 6) == grows => out.push(pool.acquire().unwrap()),
            _ if out.is_empty() => {}
            _ => pool.release(out.swap_remove(random / 8 % out.len())),
        }
        if step % 500 == 0 {
            check(&pool, &out);
        }
    }
    release_all(&mut pool, out);
    pool.give_back(usize::MAX);
    check(&pool, &[]);
    assert_eq!(pool.counters().hot, 20);
}

fn check(pool: &Pool, out: &[Stack]) {
    let limits: HashSet<usize> = out.iter().map(|stack| stack.limit()).collect();
    assert_eq!(limits.len(), out.len());
    let counters = pool.counters();
    assert_eq!(counters.out, out.len());
    assert_eq!(counters.mapped_bytes, (counters.out + counters.hot + counters.cold) * pool.stack_size());
    out.iter().for_each(|stack| write(stack.base() - 8));
}

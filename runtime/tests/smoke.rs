use dormouse_runtime::{Builder, run, spawn, spawn_local, thread};
use std::time::{Duration, Instant};
#[test]
fn smoke() {
    assert_eq!(run(|| 1), 1);
    let s: u32 =
        run(|| (0..1000).map(|i| spawn(move || i)).collect::<Vec<_>>().into_iter().map(|h| h.join().unwrap()).sum());
    assert_eq!(s, 499500);
    run(|| {
        let hs: Vec<_> = (0..10)
            .map(|_| {
                spawn(|| {
                    for _ in 0..100 {
                        thread::yield_now()
                    }
                })
            })
            .collect();
        for h in hs {
            h.join().unwrap()
        }
        let t = Instant::now();
        thread::sleep(Duration::from_micros(300));
        assert!(t.elapsed() >= Duration::from_micros(300));
        let h = spawn_local(thread::park);
        thread::yield_now();
        h.thread().unpark();
        h.join().unwrap();
    });
}
#[test]
fn two() {
    let n = Builder::new()
        .workers(2)
        .run(|| {
            let hs: Vec<_> = (0..100)
                .map(|i| {
                    spawn(move || {
                        thread::sleep(Duration::from_millis(1));
                        i
                    })
                })
                .collect();
            hs.into_iter().map(|h| h.join().unwrap()).sum::<i32>()
        })
        .unwrap();
    assert_eq!(n, 4950);
    assert_eq!(spawn(|| 3).join().unwrap(), 3);
}
#[test]
fn left_over() {
    run(|| {
        for _ in 0..10 {
            spawn(thread::park);
        }
        thread::yield_now();
    });
}

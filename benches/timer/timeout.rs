//! What does a timeout cost that does not strike? Beside tokio's, on one worker and one thread.

use criterion::Criterion;
use dormouse::sync::mpsc;
use dormouse::{spawn, time};
use std::future::ready;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Long enough never to strike.
const LIMIT: Duration = Duration::from_secs(30);

/// Times so many rounds.
type Runner = fn(rounds: u64) -> Duration;

pub(crate) fn run(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("timeout");
    let runners: [(&str, Runner); 6] = [
        ("around nothing, dormouse", dormouse_nothing),
        ("around nothing, tokio", tokio_nothing),
        ("around an answer, dormouse", |rounds| dormouse_answers(rounds, true)),
        ("around an answer, tokio", |rounds| tokio_answers(rounds, true)),
        ("an answer without, dormouse", |rounds| dormouse_answers(rounds, false)),
        ("an answer without, tokio", |rounds| tokio_answers(rounds, false)),
    ];
    for (name, run) in runners {
        group.bench_function(name, |bencher| bencher.iter_custom(run));
    }
}

fn dormouse_nothing(rounds: u64) -> Duration {
    super::on_one_worker(|| {
        let begin = Instant::now();
        for _ in 0..rounds {
            black_box(time::timeout(LIMIT, || black_box(1))).unwrap();
        }
        begin.elapsed()
    })
}

/// One coroutine asks, another answers: two parks a round, of which one is inside.
fn dormouse_answers(rounds: u64, within: bool) -> Duration {
    super::on_one_worker(|| {
        let (ask, asked) = mpsc::sync_channel(1);
        let (answer, answered) = mpsc::sync_channel(1);
        let echo = spawn(move || asked.into_iter().for_each(|number: u64| answer.send(number).unwrap()));
        let round = |number| {
            ask.send(number).unwrap();
            answered.recv().unwrap()
        };
        let begin = Instant::now();
        for number in 0..rounds {
            let got = if within { time::timeout(LIMIT, || round(number)).unwrap() } else { round(number) };
            assert_eq!(got, number);
        }
        let took = begin.elapsed();
        drop(ask);
        echo.join().unwrap();
        took
    })
}

fn on_tokio<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

fn tokio_nothing(rounds: u64) -> Duration {
    on_tokio(async {
        let begin = Instant::now();
        for _ in 0..rounds {
            black_box(tokio::time::timeout(LIMIT, ready(black_box(1))).await).unwrap();
        }
        begin.elapsed()
    })
}

fn tokio_answers(rounds: u64, within: bool) -> Duration {
    on_tokio(async {
        let (ask, mut asked) = tokio::sync::mpsc::channel(1);
        let (answer, mut answered) = tokio::sync::mpsc::channel(1);
        let echo = tokio::spawn(async move {
            while let Some(number) = asked.recv().await {
                answer.send(number).await.unwrap();
            }
        });
        let begin = Instant::now();
        for number in 0..rounds {
            let round = async {
                ask.send(number).await.unwrap();
                answered.recv().await.unwrap()
            };
            let got = if within { tokio::time::timeout(LIMIT, round).await.unwrap() } else { round.await };
            assert_eq!(got, number);
        }
        let took = begin.elapsed();
        drop(ask);
        echo.await.unwrap();
        took
    })
}

//! `select!`: its syntax, taken apart arm by arm.
//!
//! The arms become variables of the same name, told apart by hygiene, around one call that waits; what the chosen one gave
//! leaves that scope as an `Outcome`, so that the bodies run when no arm borrows its channel any more.

/// Waits for the first of several channel operations, does it, and runs its body. The value is that of the body.
///
/// | arm | goes on when | the pattern is matched with |
/// |---|---|---|
/// | `recv(receiver) -> pattern => body` | there is a message, or the senders are gone | what `recv` gives |
/// | `send(sender, message) -> pattern => body` | there is room, or the receivers are gone | what `send` gives |
/// | `default => body` | nothing else can at once | |
/// | `default(timeout) => body` | nothing else could for a [`Duration`](std::time::Duration) | |
/// | `deadline(instant) => body` | nothing else could until an [`Instant`](std::time::Instant) | |
///
/// Of the last three there may be one, anywhere. The receivers and senders are those of any channel here, in any mix.
/// If several arms can go on, each is as likely as any other. `message` is evaluated only when its arm was chosen, so what
/// it would have moved is still there in the other bodies. The body of a closed arm runs at once: take it out of the
/// select, or it runs again and again.
///
/// In a channel without capacity a receiver that waits is chosen before `message` is evaluated. Until that is done it waits
/// on, even if it is a select and another of its arms could go on. So what makes the message should be quick, and must not
/// wait for anything that the receiver would have to do: they would wait for each other.
///
/// # Blocking
///
/// If no arm can go on, parks the coroutine or blocks the plain thread. A cancellation point then, and nothing is lost by
/// it: no arm is done.
///
/// # Panics
///
/// Where it has to wait inside `no_park`.
///
/// # Examples
///
/// ```
/// use dormouse_runtime::sync::mpsc::{channel, sync_channel};
/// use dormouse_runtime::sync::select;
/// use std::time::Duration;
///
/// let (_sender, numbers) = channel::<u32>();
/// let (sender, words) = sync_channel(1);
/// let word = String::from("hello");
/// let sent = select! {
///     recv(numbers) -> number => panic!("{number:?}"),
///     send(sender, word) -> sent => sent.is_ok(),
///     default(Duration::from_secs(1)) => false,
/// };
/// assert!(sent);
/// select! {
///     recv(words) -> word => assert_eq!(word.unwrap(), "hello"),
///     recv(numbers) -> _ => unreachable!(),
/// }
/// ```
///
/// One of `default`, `default(..)` and `deadline(..)` is enough:
///
/// ```compile_fail
/// dormouse_runtime::sync::select! {
///     default => {}
///     default => {}
/// }
/// ```
#[macro_export]
macro_rules! select {
    // What is between `select! {` and `}`: the arms so far, what happens without one, the rest.
    (@arms $arms:tt $other:tt) => {
        $crate::sync::select!(@outcome $arms $other)
    };
    (@arms $arms:tt $other:tt recv($channel:expr $(,)?) -> $pattern:pat => $($rest:tt)*) => {
        $crate::sync::select!(@body $arms $other {recv ($channel) ($pattern)} $($rest)*)
    };
    (@arms $arms:tt $other:tt send($channel:expr, $message:expr $(,)?) -> $pattern:pat => $($rest:tt)*) => {
        $crate::sync::select!(@body $arms $other {send ($channel) ($message) ($pattern)} $($rest)*)
    };
    (@arms $arms:tt () default => $($rest:tt)*) => {
        $crate::sync::select!(@body $arms () {now} $($rest)*)
    };
    (@arms $arms:tt () default() => $($rest:tt)*) => {
        $crate::sync::select!(@body $arms () {now} $($rest)*)
    };
    (@arms $arms:tt () default($timeout:expr $(,)?) => $($rest:tt)*) => {
        $crate::sync::select!(
            @body $arms () {until (($crate::sync::select::expansion::Instant::now().checked_add($timeout)))} $($rest)*
        )
    };
    (@arms $arms:tt () deadline($deadline:expr $(,)?) => $($rest:tt)*) => {
        $crate::sync::select!(@body $arms () {until (::std::option::Option::Some($deadline))} $($rest)*)
    };

    // The body of an arm.
    (@body $arms:tt $other:tt $head:tt $body:block, $($rest:tt)*) => {
        $crate::sync::select!(@add $arms $other $head ($body) $($rest)*)
    };
    (@body $arms:tt $other:tt $head:tt $body:block $($rest:tt)*) => {
        $crate::sync::select!(@add $arms $other $head ($body) $($rest)*)
    };
    (@body $arms:tt $other:tt $head:tt $body:expr, $($rest:tt)*) => {
        $crate::sync::select!(@add $arms $other $head ($body) $($rest)*)
    };
    (@body $arms:tt $other:tt $head:tt $body:expr) => {
        $crate::sync::select!(@add $arms $other $head ($body))
    };
    (@add [$($arms:tt)*] $other:tt {recv $($head:tt)*} $body:tt $($rest:tt)*) => {
        $crate::sync::select!(@arms [$($arms)* {recv $($head)* $body}] $other $($rest)*)
    };
    // What was chosen to send is sent outside of the scope of the arms: the sender, which may be a temporary, outlives it.
    (@add [$($arms:tt)*] $other:tt {send $channel:tt $($head:tt)*} $body:tt $($rest:tt)*) => {{
        let channel = &$channel;
        $crate::sync::select!(@arms [$($arms)* {send (channel) $($head)* $body}] $other $($rest)*)
    }};
    (@add $arms:tt () {$($head:tt)*} $body:tt $($rest:tt)*) => {
        $crate::sync::select!(@arms $arms ($($head)* $body) $($rest)*)
    };

    // All of it: wait, then run a body.
    (@outcome $arms:tt $other:tt) => {{
        #[allow(unused_imports)]
        use $crate::sync::select::{Receive as _, Transmit as _, expansion::Attempt as _};
        let outcome = $crate::sync::select!(@make $arms [] $other);
        $crate::sync::select!(@run outcome $arms $other)
    }};
    (@make [{recv $channel:tt $pattern:tt $body:tt} $($rest:tt)*] [$($made:ident)*] $other:tt) => {
        match $channel.receiving() {
            mut arm => $crate::sync::select!(@make [$($rest)*] [$($made)* arm] $other),
        }
    };
    (@make [{send $channel:tt $message:tt $pattern:tt $body:tt} $($rest:tt)*] [$($made:ident)*] $other:tt) => {
        match $channel.sending() {
            mut arm => $crate::sync::select!(@make [$($rest)*] [$($made)* arm] $other),
        }
    };
    (@make [] [$($made:ident)*] $other:tt) => {{
        $crate::sync::select!(@wait (&mut [$($made.erase()),*]) $other);
        $crate::sync::select!(@finish $($made)*)
    }};
    (@wait $arms:tt ()) => {
        $crate::sync::select::expansion::select($arms)
    };
    (@wait $arms:tt (now $body:tt)) => {
        $crate::sync::select::expansion::select_now($arms)
    };
    (@wait $arms:tt (until $deadline:tt $body:tt)) => {
        $crate::sync::select::expansion::select_until($arms, $deadline)
    };
    (@finish) => { () };
    (@finish $arm:ident $($rest:ident)*) => {
        match $arm.finish() {
            ::std::option::Option::Some(output) => $crate::sync::select::expansion::Outcome::This(output),
            ::std::option::Option::None => {
                $crate::sync::select::expansion::Outcome::Next($crate::sync::select!(@finish $($rest)*))
            }
        }
    };
    (@run $outcome:ident [{recv $channel:tt ($pattern:pat) ($body:expr)} $($rest:tt)*] $other:tt) => {
        match $outcome {
            $crate::sync::select::expansion::Outcome::This(output) => {
                let $pattern = output;
                $body
            }
            $crate::sync::select::expansion::Outcome::Next(outcome) => {
                $crate::sync::select!(@run outcome [$($rest)*] $other)
            }
        }
    };
    (@run $outcome:ident [{send $channel:tt ($message:expr) ($pattern:pat) ($body:expr)} $($rest:tt)*] $other:tt) => {
        match $outcome {
            $crate::sync::select::expansion::Outcome::This(permit) => {
                let $pattern = permit.send($message);
                $body
            }
            $crate::sync::select::expansion::Outcome::Next(outcome) => {
                $crate::sync::select!(@run outcome [$($rest)*] $other)
            }
        }
    };
    (@run $outcome:ident [] ()) => {
        match $outcome {
            () => ::std::unreachable!("a select without an end ends by an arm"),
        }
    };
    (@run $outcome:ident [] (now ($body:expr))) => {
        match $outcome {
            () => $body,
        }
    };
    (@run $outcome:ident [] (until $deadline:tt ($body:expr))) => {
        match $outcome {
            () => $body,
        }
    };

    (@ $($what:tt)*) => {
        ::std::compile_error!(
            "`select!` takes arms `recv(receiver) -> pattern => body`, `send(sender, message) -> pattern => body`, and one \
             of `default => body`, `default(timeout) => body`, `deadline(instant) => body`"
        )
    };
    ($($arms:tt)*) => {
        $crate::sync::select!(@arms [] () $($arms)*)
    };
}

#[doc(inline)]
pub use select;

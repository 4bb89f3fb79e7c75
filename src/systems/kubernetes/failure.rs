//! What a call means that failed: what was asked, whether it may have happened, and what to do next.

use std::error::Error as _;
use std::io::ErrorKind;

use kube::Error;

use crate::domain::system::{Fault, FaultClass};
use crate::domain::text::clean;

/// What marks a refusal that says nothing about the cluster's health.
const THROTTLED: &str = "busy";

/// What a failed call means. `unsure` is the class of a failure that leaves open whether the call arrived.
pub fn fault(system: &str, what: &str, unsure: FaultClass, error: &Error) -> Fault {
    // Of a look it is no comfort that it changed nothing: a step may have changed something just before.
    let untouched = if unsure == FaultClass::Transient { "it was not looked at" } else { "nothing was changed by it" };
    match error {
        Error::Api(status) => {
            let words = clean(&format!("{} {}", status.reason, status.message));
            let text = format!("{what}: {} {words}", status.code);
            match status.code {
                401 | 403 => Fault::permanent(system, text)
                    .means(format!("these credentials may not do it; {untouched}"))
                    .next("log in with the role for recovery, then retry"),
                409 | 429 => Fault::transient(system, format!("{text} ({THROTTLED})"))
                    .means(untouched)
                    .next("wait a little, then retry"),
                500.. => broken(unsure, system, text),
                _ => Fault::permanent(system, text).means(untouched),
            }
        }
        Error::Service(cause) if never_sent(cause.as_ref()) => {
            Fault::transient(system, format!("the API server cannot be reached: {}", root(error)))
                .means(untouched)
                .next("see whether this host reaches it, then retry")
        }
        Error::Auth(_) => {
            Fault::permanent(system, format!("{what}: {}", root(error))).means(untouched).next("log in, then retry")
        }
        _ => broken(unsure, system, format!("{what} broke: {}", root(error))),
    }
}

/// A call that came to no answer.
pub fn broken(unsure: FaultClass, system: &str, what: String) -> Fault {
    let fault = Fault::new(unsure, system, what);
    match unsure {
        FaultClass::Ambiguous => {
            fault.means("it may have happened").next("Mayday looks before anything is tried again")
        }
        _ => fault.next("see whether this host reaches the API server, then retry"),
    }
}

/// The innermost cause.
fn root(error: &Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    clean(&causes.last().map_or_else(|| error.to_string(), ToString::to_string))
}

/// Whether the connection was never made, so that nothing can have been sent.
fn never_sent(error: &(dyn std::error::Error + 'static)) -> bool {
    let causes = std::iter::successors(Some(error), |cause| (*cause).source());
    causes.into_iter().any(|cause| {
        let client = cause.downcast_ref::<hyper_util::client::legacy::Error>();
        client.is_some_and(hyper_util::client::legacy::Error::is_connect)
    })
}

/// Why nobody is there, in words, when that is what an error says: no connection could be made to an address that is known. A name that
/// cannot be looked up, a certificate that does not fit, no descriptor left, a proxy that wants a password: all that says nothing of who
/// is there.
pub fn nobody_there(error: &Error, by_proxy: bool) -> Option<String> {
    let Error::Service(cause) = error else { return None };
    if !never_sent(cause.as_ref()) {
        return None;
    }
    let first: &(dyn std::error::Error + 'static) = cause.as_ref();
    let causes: Vec<&(dyn std::error::Error + 'static)> =
        std::iter::successors(Some(first), |cause| (*cause).source()).collect();
    let kinds = causes.iter().filter_map(|it| it.downcast_ref::<std::io::Error>()).map(std::io::Error::kind);
    // Who resets a connection in the middle of a handshake is there, or somebody in between is.
    let silent = [ErrorKind::ConnectionRefused, ErrorKind::TimedOut, ErrorKind::HostUnreachable];
    let refused = kinds.into_iter().any(|kind| silent.contains(&kind));
    // The proxy was there, and connected nobody: why, it is asked.
    let behind = by_proxy && causes.iter().any(|it| it.to_string() == "tunnel error: unsuccessful");
    let told = if by_proxy { behind } else { refused };
    told.then(|| format!("the API server cannot be reached: {}", root(error)))
}

/// Whether a fault is a refusal of what the server does not have: no such object, or no such kind of object.
pub fn is_absent(error: &Error) -> bool {
    matches!(error, Error::Api(status) if status.code == 404)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(kind: ErrorKind) -> Error {
        // A connection that is refused for real: the client's own error cannot be made by hand.
        Error::Service(Box::new(std::io::Error::new(kind, "x")))
    }

    #[test]
    fn what_was_sent_or_answered_is_not_nobody() {
        assert_eq!(
            nobody_there(&refused(ErrorKind::ConnectionRefused), false),
            None,
            "it was no connecting that failed"
        );
        let status = kube::core::Status { code: 503, ..Default::default() };
        assert_eq!(nobody_there(&Error::Api(Box::new(status)), false), None);
    }

    #[test]
    fn a_refusal_is_told_by_its_code_and_means_that_nothing_happened() {
        let of = |code| {
            let status = kube::core::Status { code, message: "no".into(), ..Default::default() };
            fault("k", "scale auth", FaultClass::Ambiguous, &Error::Api(Box::new(status)))
        };
        assert_eq!([401, 403, 404, 422].map(|code| of(code).class), [FaultClass::Permanent; 4]);
        assert_eq!([409, 429].map(|code| of(code).class), [FaultClass::Transient; 2]);
        assert_eq!(of(504).class, FaultClass::Ambiguous, "a gateway's silence may be a change that was made");
        let look = kube::core::Status { code: 403, ..Default::default() };
        let look = fault("k", "list pods", FaultClass::Transient, &Error::Api(Box::new(look)));
        assert!(look.means.ends_with("it was not looked at"), "a step may have changed something before it: {look}");
    }
}

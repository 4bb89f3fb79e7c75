//! What Slack is told: text as it wants it, and what its words for a failure mean.

use crate::channels::exchange::Voice;
use crate::domain::comms::Parcel;
use crate::domain::system::Fault;

/// The longest text of a message, which Slack cuts beyond it without a word, and the longest that one can be brought up to date with.
/// <https://docs.slack.dev/reference/methods/chat.postMessage> and <https://docs.slack.dev/reference/methods/chat.update>
pub const LONGEST: usize = 40_000;
pub const LONGEST_UPDATE: usize = 4000;

/// The longest name of a channel: <https://docs.slack.dev/reference/methods/conversations.create>.
const LONGEST_NAME: usize = 80;

/// `&`, `<` and `>` control Slack's text; everything else is a writer's own business.
/// <https://docs.slack.dev/messaging/formatting-message-text/#escaping>
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// As much of `text` as there is room for, never with half of an escaped character at its end.
fn cut(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let mut kept: String = text.chars().take(room.saturating_sub(1)).collect();
    if let Some(at) = kept.rfind('&').filter(|at| !kept[*at..].contains(';')) {
        kept.truncate(at);
    }
    kept.push('…');
    kept
}

/// The message in so many characters, with a link to the incident's own channel if there is one.
pub fn message(parcel: &Parcel, room: Option<&str>, longest: usize) -> String {
    // A subject without end must leave room for what is said.
    let head = format!("*{}*\n", cut(&escaped(&parcel.text.subject), longest / 2));
    let tail = room.map(|id| format!("\nWe work in <#{id}>")).unwrap_or_default();
    let taken = head.chars().count() + tail.chars().count();
    format!("{head}{}{tail}", cut(&escaped(&parcel.text.body), longest.saturating_sub(taken)))
}

/// Whether it is longer than Slack takes.
pub fn is_too_long(parcel: &Parcel) -> bool {
    let text = &parcel.text;
    escaped(&text.subject).chars().count().max(escaped(&text.body).chars().count()) + LONGEST_NAME > LONGEST
}

/// Nobody reads a channel that is archived, and nobody can write to it.
pub fn archived(voice: &Voice, channel: &str) -> Fault {
    let next = format!("unarchive it, or give [[channel]] {} another one; then `mayday outbox retry`", voice.channel);
    voice.broken(format!("{channel} is archived")).next(next)
}

/// The name of the incident's own channel.
pub fn room(parcel: &Parcel) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c.to_ascii_lowercase() } else { '-' };
    parcel.incident.as_str().chars().map(plain).take(LONGEST_NAME).collect()
}

/// What a word of Slack's means. Those that name a fault of its own side leave a doubt: "it's possible some aspect of the operation
/// succeeded before the error was raised" (chat.postMessage).
pub fn refused(voice: &Voice, word: &str, more: &[String], tells: bool) -> Fault {
    let what = format!("Slack refuses: {word}");
    let with = |next: &str| voice.broken(&*what).next(format!("{next}, then `mayday outbox retry`"));
    match word {
        "ratelimited" | "rate_limited" | "message_limit_exceeded" => voice.throttled(None),
        "fatal_error" | "internal_error" if tells => voice.doubtful(what),
        "fatal_error" | "internal_error" | "service_unavailable" | "request_timeout" | "team_added_to_org" => {
            voice.later(what)
        }
        "invalid_auth" | "not_authed" | "account_inactive" | "token_revoked" | "token_expired" | "no_permission" => {
            with(&format!("give [[channel]] {} a new token", voice.channel))
        }
        "missing_scope" => with(&format!("give the app the scope it needs ({})", more.join(", "))),
        "is_archived" => archived(voice, &format!("the channel of [[channel]] {}", voice.channel)),
        "msg_too_long" | "no_text" => with("write a shorter text that says something"),
        "restricted_action" | "restricted_action_read_only_channel" | "ekm_access_denied" => with(&format!(
            "let the app write to the channel of [[channel]] {}: its owners keep others from that",
            voice.channel
        )),
        "channel_not_found" | "not_in_channel" => {
            with(&format!("invite the app to the channel of [[channel]] {} (/invite)", voice.channel))
        }
        _ if more.is_empty() => voice.broken(what),
        _ => voice.broken(format!("{what} ({})", more.join("; "))),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::comms::{Audience, Purpose, Text};
    use crate::domain::incident::Severity;
    use crate::domain::system::FaultClass;

    fn parcel(subject: &str, body: &str) -> Parcel {
        Parcel {
            message: "INC-20261123-1.m1".into(),
            incident: "INC-20261123-1".into(),
            title: "us-east-1 is down".into(),
            purpose: Purpose::Investigating,
            severity: Severity::Sev1,
            drill: false,
            text: Text { subject: subject.into(), body: body.into() },
            chain: None,
            components: Default::default(),
            part: 0,
            parts: 1,
            only: Vec::new(),
            thread: Default::default(),
        }
    }

    #[test]
    fn only_what_controls_slack_is_escaped() {
        let said = message(&parcel("<!channel> R&D", "`a` > *b*"), Some("C1"), LONGEST);
        assert_eq!(said, "*&lt;!channel&gt; R&amp;D*\n`a` &gt; *b*\nWe work in <#C1>");
        assert_eq!(room(&parcel("", "")), "inc-20261123-1");
    }

    #[test]
    fn a_long_text_is_cut_between_characters_and_keeps_its_link() {
        for (extra, longest) in (0..8).flat_map(|extra| [(extra, LONGEST), (extra, LONGEST_UPDATE)]) {
            let long = parcel("s", &format!("{}{}", "x".repeat(extra), "&".repeat(50_000)));
            let said = message(&long, Some("C1"), longest);
            assert!(said.chars().count() <= longest && said.chars().count() > longest - 8, "{extra}");
            assert!(is_too_long(&long));
            assert!(said.ends_with("&amp;…\nWe work in <#C1>"), "{extra}: {}", &said[said.len() - 40..]);
        }
        assert!(message(&parcel(&"é".repeat(90_000), "b"), None, LONGEST).chars().count() <= LONGEST);
        assert!(!is_too_long(&parcel("s", &"x".repeat(30_000))), "thirty thousand are no trouble");
    }

    #[test]
    fn a_fault_of_slacks_own_side_leaves_a_doubt() {
        let voice = Voice::new(&"team".into(), Audience::Internal, "Slack", Duration::from_secs(1));
        let class = |word, tells| refused(&voice, word, &[], tells).class;
        assert_eq!(class("fatal_error", true), FaultClass::Ambiguous);
        assert_eq!(class("fatal_error", false), FaultClass::Transient);
        assert_eq!(class("ratelimited", true), FaultClass::Transient);
        assert_eq!(class("not_in_channel", true), FaultClass::Permanent);
        let archived = refused(&voice, "is_archived", &[], true);
        assert!(archived.what.contains("is archived") && archived.next.starts_with("unarchive it"), "{archived}");
        let stranger = refused(&voice, "invalid_auth", &[], true);
        assert!(stranger.class == FaultClass::Permanent && stranger.next.contains("token"), "{stranger}");
        assert!(refused(&voice, "missing_scope", &["chat:write".into()], true).next.contains("chat:write"));
    }
}

//! What became of the other zones of a step, when one of them fails.

use crate::domain::system::{Fault, FaultClass};

/// The zones before the one at hand.
#[derive(Default)]
pub struct Others {
    /// Their changes were sent just now.
    pub sent: Vec<String>,
    /// They were found changed, by an earlier attempt or by somebody else.
    pub already: Vec<String>,
}

impl Others {
    /// A failure after other zones were changed: it is not so that nothing happened.
    pub fn after(&self, fault: Fault) -> Fault {
        let already = self.already.join(", ");
        match (self.sent.is_empty(), self.already.is_empty()) {
            (true, true) => fault,
            (true, false) => Fault {
                means: format!("{already} is changed already, and this zone is not: clients are divided"),
                ..fault
            },
            (false, _) => {
                let sent = self.sent.join(", ");
                let means = format!(
                    "the change of {sent} was sent before that; Mayday looks at each zone before anything is sent again"
                );
                Fault {
                    class: FaultClass::Ambiguous,
                    means,
                    next: "look at the step again, then retry".into(),
                    ..fault
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_one_zone_was_changed_nobody_says_that_nothing_was() {
        let refused = || {
            Fault::permanent("zone", "ChangeResourceRecordSets was refused (403)").means("nothing was changed by it")
        };
        let (none, mut some) = (Others::default(), Others::default());
        assert_eq!(none.after(refused()), refused());
        some.already.push("Z0".into());
        let fault = some.after(refused());
        assert!(fault.class == FaultClass::Permanent && fault.means.starts_with("Z0 is changed already"), "{fault}");
        some.sent.push("Z1".into());
        let fault = some.after(refused());
        assert!(
            fault.class == FaultClass::Ambiguous && fault.means.starts_with("the change of Z1 was sent"),
            "{fault}"
        );
        assert!(!fault.to_string().contains("nothing was changed"), "{fault}");
    }
}

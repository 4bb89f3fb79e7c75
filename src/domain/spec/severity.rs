//! How bad is it? Three questions that a tired person can answer, and a table that turns the answers into a severity.

use serde::{Deserialize, Serialize};

use crate::domain::words::words;

words! {
    /// Who is hit?
    Affected {
        #[serde(alias = "nobody-yet")]
        Nobody = "none-yet",
        Some = "some",
        Most = "most",
    }
}

words! {
    /// What does not work?
    Broken {
        #[serde(alias = "nuisance")]
        Nuisance = "minor",
        Standard = "standard-down",
        CriticalSlow = "critical-slow",
        CriticalDown = "critical-down",
    }
}

words! {
    /// Is data lost, or about to be?
    Data {
        Safe = "safe",
        Unsure = "unsure",
        AtRisk = "at-risk",
    }
}

/// The answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Answers {
    pub affected: Affected,
    pub broken: Broken,
    pub data: Data,
}

impl Answers {
    /// The first row that fits.
    pub fn severity(self) -> Severity {
        match (self.data, self.broken, self.affected) {
            (Data::AtRisk, ..) | (_, Broken::CriticalDown, Affected::Most) => Severity::Sev1,
            (Data::Unsure, ..) | (_, Broken::CriticalDown, _) | (_, Broken::CriticalSlow, Affected::Most) => {
                Severity::Sev2
            }
            (_, Broken::CriticalSlow | Broken::Standard, _) | (_, _, Affected::Some | Affected::Most) => Severity::Sev3,
            (_, Broken::Nuisance, Affected::Nobody) => Severity::Sev4,
        }
    }

    /// The answers in words: the reason that is journalled with the severity.
    pub fn words(self) -> String {
        format!("affected: {}; broken: {}; data: {}", self.affected, self.broken, self.data)
    }
}

words! {
    /// How bad it is; `sev1` is worst.
    Severity { Sev1 = "sev1", Sev2 = "sev2", Sev3 = "sev3", Sev4 = "sev4", }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worse_answers_never_make_it_less_severe() {
        for affected in Affected::ALL {
            for broken in Broken::ALL {
                for data in Data::ALL {
                    let here = Answers { affected: *affected, broken: *broken, data: *data };
                    let worse =
                        |it: Answers| assert!(it.severity() <= here.severity(), "{} vs {}", it.words(), here.words());
                    Affected::ALL
                        .iter()
                        .filter(|it| *it >= affected)
                        .for_each(|it| worse(Answers { affected: *it, ..here }));
                    Broken::ALL.iter().filter(|it| *it >= broken).for_each(|it| worse(Answers { broken: *it, ..here }));
                    Data::ALL.iter().filter(|it| *it >= data).for_each(|it| worse(Answers { data: *it, ..here }));
                }
            }
        }
    }

    #[test]
    fn the_ends_of_the_table_are_what_people_expect() {
        let of = |affected, broken, data| Answers { affected, broken, data }.severity();
        assert_eq!(of(Affected::Most, Broken::CriticalDown, Data::Safe), Severity::Sev1);
        assert_eq!(of(Affected::Nobody, Broken::Nuisance, Data::AtRisk), Severity::Sev1);
        assert_eq!(of(Affected::Some, Broken::CriticalDown, Data::Safe), Severity::Sev2);
        assert_eq!(of(Affected::Some, Broken::Nuisance, Data::Safe), Severity::Sev3);
        assert_eq!(of(Affected::Nobody, Broken::Nuisance, Data::Safe), Severity::Sev4);
    }
}

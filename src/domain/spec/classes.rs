//! What is promised is promised by tier, and lost by class of data.

use crate::domain::words::words;

words! {
    /// How soon a service has to be back; `platform` stands for all of them.
    Tier { Critical = "critical", Standard = "standard", Platform = "platform", }
}

words! {
    /// What a datastore holds, as far as recovery points go.
    DataClass { Database = "database", ApplicationState = "application-state", UserData = "user-data", }
}

//! The lab's own page: the truth as JSON, and the faults as switches.

use std::io;

use super::Site;

pub async fn start(_site: &mut Site<'_>) -> io::Result<()> {
    Ok(())
}

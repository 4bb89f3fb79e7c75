//! The authoritative name server of the lab's zones.

use std::io;

use super::Site;

pub async fn start(_site: &mut Site<'_>) -> io::Result<()> {
    Ok(())
}

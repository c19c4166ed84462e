//! Room on the disk. A build that runs out of it ends with whatever the linker or a test says then.

use crate::run;
use std::path::Path;
use std::process::Command;

/// What the build, the tests and the programs of other people take, from nothing.
const NEEDED_MIB: u64 = 13 * 1024;

/// Says so where a first build may not have the room that it takes.
pub(super) fn look(root: &Path) {
    if root.join("target/debug/deps").is_dir() {
        return;
    }
    let free = run::output(Command::new("df").arg("-Pk").arg(root)).ok().and_then(|table| free_mib(&table));
    if let Some(free) = free.filter(|free| *free < NEEDED_MIB) {
        println!(
            "setup: the disk of {} has {free} MiB free; build and tests from nothing take up to {NEEDED_MIB}, and end \
             with `No space left on device` where there is less",
            root.display()
        );
    }
}

/// What `df -Pk` says is available.
fn free_mib(table: &str) -> Option<u64> {
    let kib: u64 = table.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
    Some(kib / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_df_is_read() {
        let table = "Filesystem     1024-blocks     Used Available Capacity Mounted on\n\
                     /dev/vda         263174212 12582912  83886080      14% /\n";
        assert_eq!(free_mib(table), Some(81_920));
        assert_eq!(free_mib("df: no such file\n"), None);
        let here = run::output(Command::new("df").args(["-Pk", "."])).unwrap();
        assert!(free_mib(&here).is_some(), "{here}");
    }
}

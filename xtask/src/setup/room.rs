//! Room on the disk. A build that runs out of it ends with whatever the linker or a test says then.

use crate::run;
use std::path::Path;
use std::process::Command;

/// What the build, the tests and the programs of other people take, from nothing.
const NEEDED_MIB: u64 = 13 * 1024;

/// Says so where a first build may not have the room that it takes.
pub(super) fn look() {
    let Ok(program) = std::env::current_exe() else { return };
    let Some(folder) = program.parent() else { return };
    let free =
        || run::output(Command::new("df").arg("-Pk").arg(folder)).ok().and_then(|table| free_mib(&table));
    if let Some(told) = told(folder, free) {
        println!("setup: {told}");
    }
}

/// What there is to say of the folder that is built into, on a disk with that much room. The program that asks is built
/// into it first; where ours is too, the rest is there.
fn told(folder: &Path, free_mib: impl Fn() -> Option<u64>) -> Option<String> {
    if folder.join("keybound").exists() {
        return None;
    }
    let free = free_mib().filter(|free| *free < NEEDED_MIB)?;
    Some(format!(
        "the disk of {} has {free} MiB free; build and tests from nothing take up to {NEEDED_MIB}, and may end \
         with `No space left on device` where there is less",
        folder.display()
    ))
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

    #[test]
    fn a_small_disk_is_told_of_until_all_is_built() {
        let beside = std::env::current_exe().unwrap().with_extension("room");
        std::fs::create_dir_all(&beside).unwrap();
        std::fs::write(beside.join("xtask"), "").unwrap();
        assert!(told(&beside, || Some(1000)).unwrap().contains("has 1000 MiB free"));
        assert_eq!(told(&beside, || Some(NEEDED_MIB)), None);
        assert_eq!(told(&beside, || None), None);
        std::fs::write(beside.join("keybound"), "").unwrap();
        assert_eq!(told(&beside, || Some(1000)), None);
        std::fs::remove_dir_all(&beside).unwrap();
    }
}

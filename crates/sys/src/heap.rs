//! The C library's heap: how many arenas it may have, and giving freed memory back to the system.
//!
//! Work that takes much memory on many threads, bit by bit, leaves glibc's arenas full of holes that no other thread uses:
//! a log server that has just taken in 700 MB kept 230 MB of them.

#![expect(unsafe_code, reason = "two functions of the C library that have no safe binding")]

/// Lets the heap have at most `arenas` arenas. To be called before many threads are started; where the C library has no such
/// setting nothing happens.
pub fn limit_heap_arenas(arenas: u16) {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `mallopt` takes two integers and changes the allocator's own settings under its lock.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, i32::from(arenas));
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    let _ = arenas;
}

/// Gives memory that was freed back to the system, where the C library can. Takes some milliseconds.
pub fn release_free_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `malloc_trim` takes an integer and works on the allocator's free memory under its locks.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "calls the C library")]
    fn memory_that_is_in_use_stays() {
        limit_heap_arenas(4);
        let kept: Vec<Vec<u8>> = (0..1000).map(|n| vec![n as u8; 1000]).collect();
        drop((0..1000).map(|_| vec![0u8; 3000]).collect::<Vec<_>>());
        release_free_memory();
        assert!(kept.iter().enumerate().all(|(n, bytes)| bytes.iter().all(|byte| *byte == n as u8)));
    }
}

//! The memory of scripts: counted, bounded, and with a note of whether the bound was met.
//!
//! QuickJS has a bound of its own, but a script that meets it may throw `null`, or nothing at all,
//! and its author would not learn why.
#![expect(unsafe_code, reason = "QuickJS takes its memory through an unsafe trait")]

use rquickjs::allocator::Allocator;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

/// Bytes held now. One process runs one script on one thread: the atomics are only for the compiler.
static USED: AtomicUsize = AtomicUsize::new(0);
static LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);
static REFUSED: AtomicBool = AtomicBool::new(false);

/// Bytes that QuickJS holds now.
pub(crate) fn used() -> usize {
    USED.load(Relaxed)
}

/// Sets how much QuickJS may hold.
pub(crate) fn set_limit(bytes: usize) {
    LIMIT.store(bytes, Relaxed);
}

/// Whether the script ever wanted more than it may hold.
pub(crate) fn was_refused() -> bool {
    REFUSED.load(Relaxed)
}

/// Fills the holes that making the built-ins left, so that what a step allocates lies together at the
/// end. In the holes it would lie on many pages, each of which the kernel then copies for each step.
pub(crate) fn fill_holes() {
    const SIZES: std::ops::RangeInclusive<usize> = 1..=256;
    const MARK_BYTES: usize = 64 << 10;
    const MOST: usize = 1 << 20;
    // SAFETY: plain calls. What is allocated here stays for good.
    unsafe {
        libc::malloc_trim(0);
        let end = libc::malloc(MARK_BYTES) as usize;
        let mut taken = 0;
        for size in SIZES.rev().map(|units| units * 16) {
            while taken < MOST && (libc::malloc(size) as usize) < end {
                taken += 1;
            }
        }
    }
}

/// Gives QuickJS memory from libc, within the limit.
pub(crate) struct Bounded;

impl Bounded {
    fn fits(more: usize) -> bool {
        let fits =
            USED.load(Relaxed).checked_add(more).is_some_and(|sum| sum <= LIMIT.load(Relaxed));
        if !fits {
            REFUSED.store(true, Relaxed);
        }
        fits
    }

    /// Counts what libc gave; null means that it gave nothing.
    unsafe fn count(pointer: *mut u8) -> *mut u8 {
        if pointer.is_null() {
            REFUSED.store(true, Relaxed);
        } else {
            // SAFETY: libc has just given this pointer.
            let size = unsafe { libc::malloc_usable_size(pointer.cast()) };
            USED.store(USED.load(Relaxed) + size, Relaxed);
        }
        pointer
    }

    unsafe fn discount(pointer: *mut u8) {
        // SAFETY: the caller holds a pointer of libc's.
        let size = unsafe { libc::malloc_usable_size(pointer.cast()) };
        USED.store(USED.load(Relaxed).saturating_sub(size), Relaxed);
    }
}

// SAFETY: everything is libc's own allocation, with its alignment and its sizes.
unsafe impl Allocator for Bounded {
    fn alloc(&mut self, size: usize) -> *mut u8 {
        if !Self::fits(size) {
            return std::ptr::null_mut();
        }
        // SAFETY: the pointer goes to `count` as libc gave it.
        unsafe { Self::count(libc::malloc(size).cast()) }
    }

    fn calloc(&mut self, count: usize, size: usize) -> *mut u8 {
        if !count.checked_mul(size).is_some_and(Self::fits) {
            return std::ptr::null_mut();
        }
        // SAFETY: as above.
        unsafe { Self::count(libc::calloc(count, size).cast()) }
    }

    unsafe fn dealloc(&mut self, pointer: *mut u8) {
        // SAFETY: QuickJS gives back what it got here.
        unsafe {
            Self::discount(pointer);
            libc::free(pointer.cast());
        }
    }

    unsafe fn realloc(&mut self, pointer: *mut u8, size: usize) -> *mut u8 {
        if pointer.is_null() {
            return self.alloc(size);
        }
        // SAFETY: QuickJS gives back what it got here. Where libc gives nothing, the old memory
        // stays, and stays counted.
        unsafe {
            let old = libc::malloc_usable_size(pointer.cast());
            if size > old && !Self::fits(size - old) {
                return std::ptr::null_mut();
            }
            let new = libc::realloc(pointer.cast(), size);
            if !new.is_null() {
                USED.store(USED.load(Relaxed).saturating_sub(old), Relaxed);
            }
            Self::count(new.cast())
        }
    }

    unsafe fn usable_size(pointer: *mut u8) -> usize {
        // SAFETY: QuickJS asks about what it got here.
        unsafe { libc::malloc_usable_size(pointer.cast()) }
    }
}

//! What counts as a finding besides a signal and a time-out: a panic that nothing catches, and too
//! much memory.
//!
//! The program catches panics of decoders and tells them as damaged files, so a panic by itself is
//! none; and memory is counted here, because libFuzzer's own look once a second misses short peaks.

use std::alloc::{GlobalAlloc, Layout, System};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Live bytes at any time.
const MOST_BYTES: usize = 1 << 30;

static LIVE_BYTES: AtomicUsize = AtomicUsize::new(0);
static LAST_PANIC: Mutex<String> = Mutex::new(String::new());

/// Runs the target's body; libFuzzer's own hook would end the process at the first panic, caught or
/// not.
pub fn survive(body: impl FnOnce()) {
    static HOOK: std::sync::Once = std::sync::Once::new();
    HOOK.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            if let Ok(mut last) = LAST_PANIC.lock() {
                *last = panic.to_string();
            }
        }));
    });
    if catch_unwind(AssertUnwindSafe(body)).is_err() {
        eprintln!("not caught: {}", LAST_PANIC.lock().unwrap());
        std::process::abort();
    }
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

impl Counting {
    fn add(size: usize) {
        if LIVE_BYTES.fetch_add(size, Ordering::Relaxed) + size > MOST_BYTES {
            // Whatever prints may allocate.
            LIVE_BYTES.store(0, Ordering::Relaxed);
            eprintln!("more than {MOST_BYTES} bytes are live: {size} more are wanted");
            std::process::abort();
        }
    }
}

// SAFETY: every call is passed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Counting::add(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Counting::add(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, bytes: *mut u8, layout: Layout) {
        LIVE_BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(bytes, layout) }
    }

    unsafe fn realloc(&self, bytes: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        Counting::add(new_size);
        LIVE_BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.realloc(bytes, layout, new_size) }
    }
}

//! A webhook receiver that swallows what it is sent.

use anyhow::Result;
use std::io::{BufRead, BufReader, Read, Write, copy, sink};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Listens until the process ends.
pub struct Sink(Arc<Counts>);

#[derive(Default)]
struct Counts {
    messages: AtomicU64,
    bytes: AtomicU64,
}

impl Sink {
    pub fn start(address: &str) -> Result<Self> {
        let listener = TcpListener::bind(address)?;
        let counts = Arc::new(Counts::default());
        let counted = counts.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let counts = counted.clone();
                std::thread::spawn(move || serve(stream, &counts));
            }
        });
        Ok(Self(counts))
    }

    pub fn messages(&self) -> u64 {
        self.0.messages.load(Relaxed)
    }

    pub fn bytes(&self) -> u64 {
        self.0.bytes.load(Relaxed)
    }
}

/// Answers requests until the other side is done or sends what is no message.
fn serve(stream: TcpStream, counts: &Counts) -> Option<()> {
    let mut writer = stream.try_clone().ok()?;
    let mut reader = BufReader::with_capacity(64 << 10, stream);
    loop {
        let mut length = None;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if line.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse::<u64>().ok();
            }
        }
        let length = length?;
        copy(&mut (&mut reader).take(length), &mut sink()).ok()?;
        counts.messages.fetch_add(1, Relaxed);
        counts.bytes.fetch_add(length, Relaxed);
        writer
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            .ok()?;
    }
}

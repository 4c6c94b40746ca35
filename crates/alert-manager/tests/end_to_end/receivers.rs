//! Receivers that note what they get: a webhook and a mail server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

/// A webhook receiver: every body it gets comes out of the channel; it answers with the status that it is told.
pub(crate) fn webhook(status: &'static str) -> (u16, Receiver<serde_json::Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let sender = sender.clone();
            thread::spawn(move || answer_webhook(stream, status, &sender));
        }
    });
    (port, receiver)
}

/// A webhook receiver that fails until it is told to work.
pub(crate) fn unsteady_webhook(works: &Arc<AtomicBool>) -> (u16, Receiver<serde_json::Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (sender, receiver) = channel();
    let works = Arc::clone(works);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let status =
                if works.load(Ordering::SeqCst) { "200 OK" } else { "500 Down\r\nConnection: close" };
            let sender = sender.clone();
            thread::spawn(move || answer_webhook(stream, status, &sender));
        }
    });
    (port, receiver)
}

fn answer_webhook(stream: TcpStream, status: &str, sender: &Sender<serde_json::Value>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut len = 0;
        let mut line = String::new();
        loop {
            line.clear();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                len = value.trim().parse().unwrap_or(0);
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; len];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let sent = serde_json::from_slice(&body).ok().map(|body| sender.send(body));
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nok");
        if sent.is_none() || reader.get_mut().write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// A mail server: every mail's text comes out of the channel.
pub(crate) fn mail_server() -> (u16, Receiver<String>) {
    mail_server_with("")
}

/// The same with what it says of itself besides, such as `AUTH PLAIN`; the client's answers to challenges stand before the mail.
pub(crate) fn mail_server_with(extension: &'static str) -> (u16, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let sender = sender.clone();
            thread::spawn(move || speak_smtp(stream, extension, &sender));
        }
    });
    (port, receiver)
}

/// `<1896.697170952@postoffice.reston.mci.net>`, `Username:`, `Password:`
const CRAM_CHALLENGE: &str = "334 PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+";
const LOGIN_QUESTIONS: [&str; 2] = ["334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6"];

/// Asks, and notes the answers.
fn challenge(reader: &mut BufReader<TcpStream>, questions: &[&str], said: &mut String) -> bool {
    questions.iter().all(|question| {
        let mut answer = String::new();
        reader.get_mut().write_all(format!("{question}\r\n").as_bytes()).is_ok()
            && reader.read_line(&mut answer).is_ok_and(|len| len > 0)
            && {
                said.push_str(answer.trim_end());
                said.push('\n');
                true
            }
    })
}

fn speak_smtp(stream: TcpStream, extension: &str, sender: &Sender<String>) {
    let mut reader = BufReader::new(stream);
    let say = |reader: &mut BufReader<TcpStream>, text: &str| {
        reader.get_mut().write_all(format!("{text}\r\n").as_bytes()).is_ok()
    };
    if !say(&mut reader, "220 test ESMTP") {
        return;
    }
    let hello = match extension {
        "" => "250-test\r\n250 8BITMIME".to_owned(),
        extension => format!("250-test\r\n250-{extension}\r\n250 8BITMIME"),
    };
    let (mut line, mut said) = (String::new(), String::new());
    let mut mail: Option<String> = None;
    loop {
        line.clear();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        if let Some(text) = &mut mail {
            if line.trim_end() != "." {
                text.push_str(&line);
                continue;
            }
            let done = sender.send(mail.take().unwrap_or_default());
            if done.is_err() || !say(&mut reader, "250 queued as 1") {
                return;
            }
            continue;
        }
        let reply = match line.to_ascii_uppercase().split_whitespace().next() {
            Some("EHLO") => &hello,
            Some("AUTH") => {
                said.push_str(&line);
                let upper = line.to_ascii_uppercase();
                let questions: &[&str] = match () {
                    () if upper.contains("CRAM-MD5") => &[CRAM_CHALLENGE],
                    () if upper.contains("LOGIN") => &LOGIN_QUESTIONS,
                    () => &[],
                };
                if !challenge(&mut reader, questions, &mut said) {
                    return;
                }
                "235 welcome"
            }
            Some("DATA") => {
                mail = Some(std::mem::take(&mut said));
                "354 go on"
            }
            Some("QUIT") => "221 bye",
            _ => "250 ok",
        };
        if !say(&mut reader, reply) {
            return;
        }
    }
}

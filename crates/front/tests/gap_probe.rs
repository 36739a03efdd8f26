mod kit;
use std::io::Read;
use std::time::{Duration, Instant};
use kit::app::{raw, read_request, reply};
use kit::client::{exchange, Caller};
use kit::{Folder, Front};
use sealcast_front::Limits;
#[test]
fn gap() {
    let folder = Folder::new();
    raw(&folder.socket(), move |_, mut stream| {
        read_request(&mut stream).expect("a request");
        std::thread::sleep(Duration::from_millis(1000));
        let mut rest: usize = 8 << 20;
        let mut bytes = vec![0; 64 << 10];
        let mut max = Duration::ZERO; let mut at = 0;
        while rest > 0 {
            let t = Instant::now();
            rest -= stream.read(&mut bytes).expect("the body").min(rest);
            if t.elapsed() > max { max = t.elapsed(); at = rest; }
        }
        println!("GAP {max:?} at {at}");
        reply(&mut stream, "done");
    });
    let front = Front::start(&folder.socket(), Limits::default());
    for _ in 0..1 {
    let mut client = Caller::new(&front.ca).call(front.https());
    exchange(&mut client, "POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8388608", &vec![0; 8 << 20]);
    }
}

"""sink.py - a well-behaved SMTP server of the test that keeps what it is given, in memory."""
import socket, socketserver, threading

from host import free_port


class Sink:
    """with Sink() as s: ... s.wait_messages(1) -> [{'mail':..., 'rcpt': [...], 'lines': [...], 'data': bytes, 'helo':..., 'peer':...}]"""

    def __init__(self, host='127.0.0.1', port=None, capabilities=('PIPELINING', 'SIZE 50000000', '8BITMIME', 'ENHANCEDSTATUSCODES'),
                 replies=None, greeting='220 sink.test ESMTP'):
        self.host, self.port_wanted, self.capabilities, self.greeting = host, port, capabilities, greeting
        self.replies = replies or {}    # {'MAIL': '250 ok', 'RCPT': {'bad@x': '550 no'}, 'DATA': ..., 'BODY': '250 multi\r\n'}
        self.messages = []
        self.sessions = 0
        self.cond = threading.Condition()

    def start(self):
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def say(self, text):
                self.wfile.write(text.encode('latin-1') + b'\r\n')

            def handle(self):
                with outer.cond:
                    outer.sessions += 1
                try:
                    self.talk()
                except OSError:
                    pass

            def talk(self):
                self.say(outer.greeting)
                tx, helo = {}, ''
                while True:
                    line = self.rfile.readline()
                    if not line:
                        return
                    text = line.decode('latin-1').rstrip('\r\n')
                    verb = text[:4].upper()
                    if verb in ('EHLO', 'HELO'):
                        helo = text[5:]
                        caps = ['sink.test', *(outer.capabilities if verb == 'EHLO' else ())]
                        for i, c in enumerate(caps):
                            self.say(f'250{"-" if i < len(caps) - 1 else " "}{c}')
                    elif verb == 'MAIL':
                        tx = {'mail': text, 'rcpt': [], 'lines': [], 'helo': helo, 'peer': self.client_address[0]}
                        self.say(outer.replies.get('MAIL', '250 2.1.0 ok'))
                    elif verb == 'RCPT':
                        addr = text[text.index('<') + 1:text.index('>')]
                        reply = outer.replies.get('RCPT', {}).get(addr, '250 2.1.5 ok')
                        if reply[0] == '2':
                            tx['rcpt'].append(addr)
                            tx['lines'].append(text)
                        self.say(reply)
                    elif verb == 'DATA':
                        reply = outer.replies.get('DATA', '354 go' if tx.get('rcpt') else '554 5.5.1 no valid recipients')
                        self.say(reply)
                        if reply[0] != '3':
                            continue
                        data = []
                        while True:
                            line = self.rfile.readline()
                            if not line:
                                return
                            if line == b'.\r\n':
                                break
                            data.append(line[1:] if line[:1] == b'.' else line)
                        tx['data'] = b''.join(data)
                        reply = outer.replies.get('BODY', '250 2.0.0 taken')
                        if reply[0] == '2':
                            with outer.cond:
                                outer.messages.append(tx)
                                outer.cond.notify_all()
                        self.say(reply)
                        tx = {}
                    elif verb == 'RSET':
                        tx = {}
                        self.say('250 2.0.0 ok')
                    elif verb == 'QUIT':
                        self.say('221 2.0.0 bye')
                        return
                    else:
                        self.say('250 2.0.0 ok' if verb == 'NOOP' else '500 5.5.1 what')

        class Srv(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True
            request_queue_size = 200
            address_family = socket.AF_INET6 if ':' in self.host else socket.AF_INET

        self.port = self.port_wanted or free_port(self.host)
        self.srv = Srv((self.host, self.port), Handler)
        threading.Thread(target=self.srv.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def wait_messages(self, n, deadline=30):
        with self.cond:
            assert self.cond.wait_for(lambda: len(self.messages) >= n, deadline), f'{len(self.messages)} of {n} messages came'
            return list(self.messages)

    def stop(self):
        self.srv.shutdown()
        self.srv.server_close()

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()

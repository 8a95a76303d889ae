"""Backups of earlier versions of the module: their hooks are loaded, with defaults for what they did not have."""

from __future__ import annotations

import base64
import zlib

import pytest

from geartrain.server import EmbeddedServer
from geartrain.wire import Endpoint, Link
from support.hooks import hooks, information
from support.sanitizers import sanitized
from support.servers import require_module, required

FIRST = {
    "valkey-9.1": (
        b"c-l>nF;Bu!6oub=aA|EqBqqAJbZ{amX*C+{go6t@n>ZGFfu;pa-=mQbh6?E7;NYectIo^~|3Li@4(`UJCgL*?<NcB|-Fwf;I"
        b"Xyf%J~}h^%~Xq=z{j2uVF(8$tF)bJA-Wzns-ECUIfa_=S~wd`6+czG99^S@t=aAC8c9{BQ#Yy($Ao;w@!R8cI(eXsG6u8>i2"
        b"}?o!ivsO=q?62s5%#+*KX*bxL9|(fdIl5{9a`k0OgRVkl}U_hy<L#t0A!dV7aqY@=d;^GT)-n`ep;2P=t=xw);D~d*;CIbVa"
        b"puVVHK476_q}4gKSWET>$lNG%Xb3C+?mM%Wg)p)4Rf61{VTv8<zuIU;?CWGK^TFMTU>waBhqZ&`UQ%4@1Z=QRHN9{=;9Wd8p"
        b"Aa=&`_Wc>iW?_%H"
    ),
    "redis-8.2": (
        b"c-l>lu};EZ6ov2q!=;6U$RdkNHM$T>T8PGUV$eZGeE?JF1)3Hx?N0+C3>A^ZM=%bo?#vCd58&wJE11+otbrKsmz?3`-h0l~#"
        b"rfs6rs<V9>yc&qYCs;Il`G|HoZA=;Tli5e#-^~lw3;s^Czc03S!$QMt6^~mV%hAs)Q0I(1fOB}@v>Ylo)~AGBkN!!A$LlcRe"
        b"TbPMXrLf;tS92wH1^sYMBF9An*;pS1FFje2ipF`9=vL0ZrF#67un6yR%jJhA$4gdu=j3;hA>N7*|hDwTaOmh(>>?YDR|@0NA"
        b"3q&!1sCwR%0#0x$+F&1Mu(Ph_SJjnemGbW1o3Om{#TND?4nn)FWJIeO}0(^{Gz>iJxd&&d*7v+(bG_%DY6a7Sms`uO1H=>75"
        b"a?FWG=UIq"
    ),
}
"""What a server with the module of encoding 1 saved (compressed, in base 85): a hook `h` of key events, one `s` of a
stream in mode='sync', the key `k1`, and its event in an outbox."""


@pytest.mark.servers(*FIRST)
def test_hooks_of_the_first_encoding_are_loaded(module_flavour, tmp_path, tmp_path_factory):
    """And saved again in the present one."""
    require_module()
    (tmp_path / "dump.rdb").write_bytes(zlib.decompress(base64.b85decode(FIRST[module_flavour])))
    binary = sanitized(required(module_flavour), tmp_path_factory.mktemp("binary"))
    options = {"appendonly": "no", "save": ""}
    for _ in range(2):
        with (
            EmbeddedServer.start(
                binary=binary, directory=tmp_path, module=True, module_options={"workers": 0}, options=options
            ) as server,
            Link(Endpoint(server.url)) as link,
        ):
            assert {name: state.version for name, state in hooks(link).items()} == {"h": "7", "s": "8"}
            assert information(link, "geartrain")["geartrain_triggers"] == "0"
            before = hooks(link)["h"].captured
            link.call("SET", "k1", "again")
            link.call("HSET", "k2", "f", 1)
            assert hooks(link)["h"].captured == before + 1
            link.call("SAVE")

// Play: the floppy in Bochs. (The live part itself comes with the engine.)

export function openLive(room) {
  room.querySelector(".live-message").hidden = false;
  room.querySelector(".live-message").textContent = "This edition of the page was built without its processor, so nothing can be played here. Step through the recordings instead, or type: make engine web.";
}
openLive.pause = () => {};
openLive.say = () => {};
openLive.insert = async () => {};

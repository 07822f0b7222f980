// The text screen, drawn from text memory on a canvas. Letters are the browser's; frames and blocks are
// drawn here, so that they join.

const COLUMNS = 80, ROWS = 25, CELL_WIDTH = 9, CELL_HEIGHT = 16;
const PALETTE = ["#000000", "#0000aa", "#00aa00", "#00aaaa", "#aa0000", "#aa00aa", "#aa5500", "#aaaaaa",
  "#555555", "#5555ff", "#55ff55", "#55ffff", "#ff5555", "#ff55ff", "#ffff55", "#ffffff"];

// Code page 437, as IBM's PC has it.
export const CP437 = "\0☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼ !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~⌂" +
  "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0";

// Arms of frames: left, right, up, down; 1 single, 2 double.
const ARMS = { "│": "0011", "┤": "1011", "╡": "2011", "╢": "1022", "╖": "1002", "╕": "2001", "╣": "2022", "║": "0022", "╗": "2002", "╝": "2020",
  "╜": "1020", "╛": "2010", "┐": "1001", "└": "0110", "┴": "1110", "┬": "1101", "├": "0111", "─": "1100", "┼": "1111", "╞": "0211", "╟": "0122",
  "╚": "0220", "╔": "0202", "╩": "2220", "╦": "2202", "╠": "0222", "═": "2200", "╬": "2222", "╧": "2210", "╨": "1120", "╤": "2201", "╥": "1102",
  "╙": "0120", "╘": "0210", "╒": "0201", "╓": "0102", "╫": "1122", "╪": "2211", "┘": "1010", "┌": "0101" };
const BLOCKS = { "█": [0, 0, 1, 1], "▄": [0, 0.5, 1, 0.5], "▌": [0, 0, 0.5, 1], "▐": [0.5, 0, 0.5, 1], "▀": [0, 0, 1, 0.5], "■": [0.1, 0.35, 0.8, 0.35] };
const SHADES = { "░": 0.25, "▒": 0.5, "▓": 0.75 };

export class Screen {
  constructor(canvas) {
    canvas.width = COLUMNS * CELL_WIDTH * 2;
    canvas.height = ROWS * CELL_HEIGHT * 2;
    this.pen = canvas.getContext("2d");
    this.pen.scale(2, 2);
    this.shown = new Uint8Array(2 * COLUMNS * ROWS).fill(255);
    this.pen.font = `14px "DejaVu Sans Mono", "Liberation Mono", Consolas, Menlo, monospace`;
    this.pen.textBaseline = "middle";
    this.pen.textAlign = "center";
  }

  /** Draws what has changed. */
  draw(memory) {
    for (let cell = 0; cell < COLUMNS * ROWS; cell++) {
      const [code, attribute] = [memory[2 * cell], memory[2 * cell + 1]];
      if (code === this.shown[2 * cell] && attribute === this.shown[2 * cell + 1]) continue;
      this._cell(cell % COLUMNS * CELL_WIDTH, Math.floor(cell / COLUMNS) * CELL_HEIGHT, CP437[code] || " ", attribute);
    }
    this.shown = memory.slice();
  }

  /** The screen's 25 rows, as text. */
  rows() {
    return Array.from({ length: ROWS }, (_, row) => Array.from({ length: COLUMNS }, (_, column) => {
      const code = this.shown[2 * (row * COLUMNS + column)];
      return code ? CP437[code] : " ";
    }).join("").trimEnd());
  }

  _cell(x, y, letter, attribute) {
    const { pen } = this;
    pen.fillStyle = PALETTE[attribute >> 4 & 7];
    pen.fillRect(x, y, CELL_WIDTH, CELL_HEIGHT);
    if (letter === " " || letter === "\0" || letter === "\u00a0") return;
    pen.fillStyle = PALETTE[attribute & 15];
    if (ARMS[letter]) this._frame(x, y, ARMS[letter]);
    else if (BLOCKS[letter]) {
      const [left, top, width, height] = BLOCKS[letter];
      pen.fillRect(x + left * CELL_WIDTH, y + top * CELL_HEIGHT, width * CELL_WIDTH, height * CELL_HEIGHT);
    } else if (SHADES[letter]) {
      pen.globalAlpha = SHADES[letter];
      pen.fillRect(x, y, CELL_WIDTH, CELL_HEIGHT);
      pen.globalAlpha = 1;
    } else pen.fillText(letter, x + CELL_WIDTH / 2, y + CELL_HEIGHT / 2 + 1, CELL_WIDTH + 1);
  }

  _frame(x, y, arms) {
    const [left, right, up, down] = [...arms].map(Number);
    const [middle, centre] = [x + CELL_WIDTH / 2, y + CELL_HEIGHT / 2];
    const line = (count, draw) => (count === 2 ? [-1.5, 1.5] : count ? [0] : []).forEach(draw);
    const thick = 1.2;
    line(left, (shift) => this.pen.fillRect(x, centre + shift - thick / 2, CELL_WIDTH / 2 + (up === 2 || down === 2 ? 2 : thick / 2), thick));
    line(right, (shift) => this.pen.fillRect(middle - (up === 2 || down === 2 ? 2 : thick / 2), centre + shift - thick / 2, CELL_WIDTH / 2 + 2, thick));
    line(up, (shift) => this.pen.fillRect(middle + shift - thick / 2, y, thick, CELL_HEIGHT / 2 + (left === 2 || right === 2 ? 2 : thick / 2)));
    line(down, (shift) => this.pen.fillRect(middle + shift - thick / 2, centre - (left === 2 || right === 2 ? 2 : thick / 2), thick, CELL_HEIGHT / 2 + 2));
  }
}

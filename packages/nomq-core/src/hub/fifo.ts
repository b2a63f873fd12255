/** A queue on an array: taking from the front does not move what is behind. */
export class Fifo<T> {
  private items: (T | undefined)[] = [];
  private first = 0;

  get size(): number {
    return this.items.length - this.first;
  }

  push(item: T): void {
    this.items.push(item);
  }

  peek(): T | undefined {
    return this.items[this.first];
  }

  shift(): T | undefined {
    const item = this.items[this.first];
    if (this.first < this.items.length) {
      this.items[this.first] = undefined;
      this.first += 1;
    }
    if (this.first >= 1_024 && this.first * 2 >= this.items.length) {
      this.items = this.items.slice(this.first);
      this.first = 0;
    }
    return item;
  }
}

import { Injectable, Logger, OnDomainEvent, type DomainEvent } from 'herald/extension-api';

/** Says in the log what happens. For what must not be missed, use `@DurableReader` instead. */
@Injectable()
export class ItemsListener {
  private readonly logger = new Logger('my-extension');

  @OnDomainEvent('my_extension.added')
  onAdded({ payload }: DomainEvent<'my_extension.added'>): void {
    this.logger.log(`the item ${payload.itemId} was added`);
  }
}

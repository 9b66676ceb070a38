import {
  Body,
  Controller,
  CurrentPrincipal,
  EventBus,
  Get,
  InjectRepository,
  Post,
  timeOrderedId,
  UnitOfWork,
  z,
  type Principal,
  type Repository,
} from 'herald/extension-api';
import { Item } from './item.entity.js';

const itemBody = z.strictObject({ name: z.string().trim().min(1).max(200) });

/** The caller's own items. Routes are closed to callers without a token, unless they are `@Public()`. */
@Controller('my-extension')
export class ItemsController {
  constructor(
    @InjectRepository(Item) private readonly items: Repository<Item>,
    private readonly unitOfWork: UnitOfWork,
    private readonly bus: EventBus,
  ) {}

  @Get()
  async list(@CurrentPrincipal() { userId }: Principal): Promise<{ items: Item[] }> {
    return { items: await this.items.find({ where: { ownerId: userId }, order: { id: 'ASC' } }) };
  }

  @Post()
  async add(
    @CurrentPrincipal() { userId }: Principal,
    @Body({ schema: itemBody }) { name }: z.infer<typeof itemBody>,
  ): Promise<Item> {
    const item = { id: timeOrderedId(), ownerId: userId, name, createdAt: Date.now() };
    // The change and its event are one transaction: neither is ever without the other.
    await this.unitOfWork.run(async (tx) => {
      await tx.insert(Item, item);
      await this.bus.publish('my_extension.added', { itemId: item.id, userId });
    });
    return item;
  }
}

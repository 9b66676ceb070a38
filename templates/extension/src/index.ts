import { defineExtension, Module, TypeOrmModule } from 'herald/extension-api';
import { Item } from './item.entity.js';
import { ItemsController } from './items.controller.js';
import { events } from './items.events.js';
import { ItemsListener } from './items.listener.js';
import { MyExtension1796000000000 } from './items.migration.js';

@Module({
  imports: [TypeOrmModule.forFeature([Item])],
  controllers: [ItemsController],
  providers: [ItemsListener],
})
class MyExtensionModule {}

export default defineExtension({
  name: 'my-extension',
  version: '0.1.0',
  requires: '^0.1.0',
  events,
  entities: [Item],
  migrations: [MyExtension1796000000000],
  module: MyExtensionModule,
});
